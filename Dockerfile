# IMD Lens as a container: starter data inside, the full data by a volume on /data, counts by one on /counts.
#
#   docker build -t imd-lens --build-arg COMMIT=$(git rev-parse HEAD) .
#   docker run --rm -v counts:/counts imd-lens keys create --name epr --scope enrich     first: without it nobody could ask
#   docker run --rm -p 8080:8080 -v counts:/counts imd-lens                 starter data
#   docker run --rm -v imd:/data imd-lens data build --out /data ...         the national index
#   docker run --rm -p 8080:8080 -v imd:/data:ro -v counts:/counts -e IMDLENS_DATA_DIR=/data imd-lens

FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/imdlens
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY app app
COPY data/imd data/imd
COPY migrations migrations
RUN /opt/imdlens/bin/pip install --no-cache-dir -c constraints.txt . \
 && /opt/imdlens/bin/imdlens data build --starter --out /opt/imdlens/starter

FROM python:3.11-slim
LABEL org.opencontainers.image.title="IMD Lens" org.opencontainers.image.licenses="MIT"
RUN useradd --system --uid 10001 --home-dir /nonexistent imdlens && mkdir /data /counts && chown imdlens /data /counts
COPY --from=build /opt/imdlens /opt/imdlens
ENV PATH=/opt/imdlens/bin:$PATH IMDLENS_DATA_DIR=/opt/imdlens/starter IMDLENS_COUNTS_DIR=/counts PYTHONDONTWRITEBYTECODE=1
ARG COMMIT=""
ENV IMDLENS_COMMIT=$COMMIT
USER 10001
EXPOSE 8080
VOLUME /data /counts
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["imdlens"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
