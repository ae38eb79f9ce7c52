# The image of Pawl: one for every role. `make image` builds it; docs/image.md tells how and why.
# BASE is a glibc image with Python 3.11 or newer as python3, named by digest, such as python:3.13-slim@sha256:...
# It lends Python, the libraries that Python links, and certificate authorities; nothing else of it is in the result.
ARG BASE
FROM ${BASE} AS build
ARG SOURCE_DATE_EPOCH=0
# The order of names in sets must not decide what the bytecode looks like.
ENV PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
COPY requirements-runtime.lock scripts/image_root.py /build/
COPY dist/wheels /build/wheels
RUN ["python3", "/build/image_root.py", "/build", "/root-of-pawl"]

FROM scratch
LABEL org.opencontainers.image.title="pawl" \
      org.opencontainers.image.description="Kubernetes operator for the image pipeline: an image moves forward or stays, it never slips back" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /root-of-pawl /
ENV PATH=/opt/pawl/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONUTF8=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["/opt/pawl/bin/pawl"]
CMD ["run"]
