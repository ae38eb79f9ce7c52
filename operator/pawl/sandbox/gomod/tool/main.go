// One static program for the sandbox's images: it waits, serves, fetches or exits, as its first argument says.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `tool pause | sleep SECONDS | serve ADDRESS TEXT | fetch URL [SECONDS] | exit CODE | once PREFIX`

func main() {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if err := run(stop, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tool:", err)
		os.Exit(1)
	}
}

func run(stop context.Context, args []string) error {
	mode, first, second := argument(args, 0), argument(args, 1), argument(args, 2)
	switch mode {
	case "pause":
		return wait(stop, 0)
	case "sleep":
		seconds, err := strconv.Atoi(first)
		if err != nil {
			return err
		}
		return wait(stop, time.Duration(seconds)*time.Second)
	case "serve":
		return serve(stop, first, second)
	case "fetch":
		return fetch(stop, first, second)
	case "exit":
		code, err := strconv.Atoi(first)
		if err == nil {
			os.Exit(code)
		}
		return err
	case "once":
		return once(stop, first)
	}
	return errors.New("usage: " + usage)
}

func argument(args []string, index int) string {
	if index < len(args) {
		return args[index]
	}
	return ""
}

// wait also takes in orphans: as the first process of a Pod it is the parent of each.
func wait(stop context.Context, limit time.Duration) error {
	orphans := make(chan os.Signal, 8)
	signal.Notify(orphans, syscall.SIGCHLD)
	var over <-chan time.Time
	if limit > 0 {
		over = time.After(limit)
	}
	for {
		select {
		case <-stop.Done():
			return nil
		case <-over:
			return nil
		case <-orphans:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		}
	}
}

// once ends at once in Pods whose names begin with PREFIX, and waits in all others; further arguments say nothing. So
// one image plays an operator and the Jobs that it makes of its own image.
func once(stop context.Context, prefix string) error {
	host, err := os.Hostname()
	if err != nil || strings.HasPrefix(host, prefix) {
		return err
	}
	return wait(stop, 0)
}

// serve answers every path with the host's name and TEXT.
func serve(stop context.Context, address, text string) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	answer := func(out http.ResponseWriter, _ *http.Request) { fmt.Fprintln(out, host, text) }
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(answer), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-stop.Done()
		server.Close()
	}()
	fmt.Println("serving on", address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// fetch prints the body of URL; with SECONDS it tries again for so long.
func fetch(stop context.Context, url, seconds string) error {
	limit, _ := strconv.Atoi(seconds)
	end := time.Now().Add(time.Duration(limit) * time.Second)
	for {
		err := get(stop, url)
		if err == nil || time.Now().After(end) || stop.Err() != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func get(stop context.Context, url string) error {
	limited, cancel := context.WithTimeout(stop, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s: HTTP %d: %s", url, answer.StatusCode, body)
	}
	_, err = os.Stdout.Write(body)
	return err
}
