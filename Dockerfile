# The program `mobinet`, and nothing that only development needs.
# Every file that is installed is known by its hash, those that build the package included.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /mobinet
COPY requirements/run.lock requirements/build.lock requirements/
RUN /mobinet/bin/pip install --require-hashes -r requirements/run.lock \
 && pip install --require-hashes -r requirements/build.lock
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /mobinet/bin/pip install --no-deps /wheel/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data mobinet \
 && install --directory --owner mobinet --mode 700 /data
COPY --from=build /mobinet /mobinet
ENV PATH=/mobinet/bin:$PATH PYTHONUNBUFFERED=1 MOBINET_DATA_DIR=/data MOBINET_HOST=0.0.0.0
USER mobinet
WORKDIR /data
VOLUME /data
EXPOSE 8000
CMD ["mobinet", "serve"]
