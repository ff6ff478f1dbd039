# IMD Lens as a container: starter data inside, the full data by a volume on /data, counts by one on /counts.
# docs/deployment.md has the whole of it.
#
#   docker build -t imd-lens --build-arg COMMIT=$(git rev-parse HEAD) .
#   docker run --rm -v counts:/counts imd-lens keys create --name epr --scope enrich     first: without it nobody could ask
#   docker run --rm -p 8080:8080 -v counts:/counts --read-only --tmpfs /tmp --cap-drop ALL \
#     --security-opt no-new-privileges --stop-timeout 30 imd-lens
#   docker run --rm -v imd:/data imd-lens data build --out /data ...                     the national index
#
# Written to: /counts, /data by `data build` alone, and /tmp with several workers. No shell is needed in it.
# BASE is any image with Python 3.11 or newer and its venv module; both stages must have the same.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/imdlens
# What others wrote first: this layer stays when only our own code changes.
COPY constraints.txt pyproject.toml ./
RUN python3 -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > needs.txt \
 && /opt/imdlens/bin/pip install --no-cache-dir -c constraints.txt -r needs.txt
# EXTRAS: `otel` for traces.
ARG EXTRAS=""
COPY README.md LICENSE ./
COPY app app
COPY data/imd data/imd
COPY migrations migrations
RUN /opt/imdlens/bin/pip install --no-cache-dir -c constraints.txt ".${EXTRAS:+[$EXTRAS]}" \
 && /opt/imdlens/bin/imdlens data build --starter --out /opt/imdlens/starter \
 && /opt/imdlens/bin/python -m pip uninstall --yes --quiet pip setuptools

FROM ${BASE}
RUN groupadd --system --gid 10001 imdlens \
 && useradd --system --uid 10001 --gid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin imdlens \
 && mkdir /data /counts && chown imdlens:imdlens /data /counts && chmod 0750 /data /counts
COPY --from=build /opt/imdlens /opt/imdlens
ENV PATH=/opt/imdlens/bin:$PATH IMDLENS_DATA_DIR=/opt/imdlens/starter IMDLENS_COUNTS_DIR=/counts PYTHONDONTWRITEBYTECODE=1
ARG COMMIT=""
ENV IMDLENS_COMMIT=$COMMIT
LABEL org.opencontainers.image.title="IMD Lens" \
      org.opencontainers.image.description="Deprivation context at the point of care: a postcode in, the published IMD decile and Core20 flag out." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision=$COMMIT
USER 10001:10001
EXPOSE 8080
VOLUME /data /counts
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["imdlens"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
