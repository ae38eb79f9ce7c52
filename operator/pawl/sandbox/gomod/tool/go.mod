// A static program for images FROM scratch: what the sandbox's own Pods run. The standard library only.
module pawl.dev/sandbox/tool

go 1.26.0
