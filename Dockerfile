# The engine as an image: web server (default) or dispatcher, with a mounted deploy.cfg.
#   make image                        builds it: wheels first, then this, so that building needs no package index
#   docker run -v ./deploy.cfg:/etc/execution-engine/deploy.cfg:ro -p 5000:5000 execution-engine
#   docker run -v ./deploy.cfg:/etc/execution-engine/deploy.cfg:ro --no-healthcheck execution-engine dispatcher
# BASE_IMAGE: any image with a Python of the version that the wheels are for.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
COPY wheels/ /wheels/
# The wheel of pip is used as it is: a base image needs no pip of its own, and the result has none.
RUN python3 -m venv --without-pip /opt/execution-engine && \
    PYTHONPATH="$(echo /wheels/pip-*.whl)" python3 -m pip --python /opt/execution-engine/bin/python \
      install --no-index --find-links /wheels --no-cache-dir execution-engine

FROM ${BASE_IMAGE}
COPY --from=build /opt/execution-engine /opt/execution-engine
ENV PATH=/opt/execution-engine/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KB_DEPLOYMENT_CONFIG=/etc/execution-engine/deploy.cfg \
    EE_URL=http://127.0.0.1:5000/services/ee
# No account of that number has to exist.
USER 10001:10001
WORKDIR /tmp
EXPOSE 5000
HEALTHCHECK --interval=15s --timeout=10s --start-period=20s CMD ["execution-engine", "status"]
ENTRYPOINT ["execution-engine", "serve"]
CMD ["web"]
