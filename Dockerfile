# syntax=docker/dockerfile:1
# The steps are scripts under deploy/docker so that the test suite runs the same ones.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN deploy/docker/build-wheel.sh /wheels

FROM python:3.11-slim
# Set to an index of CPU-only PyTorch wheels for a much smaller image.
ARG TORCH_INDEX_URL=""
COPY --from=build /wheels /wheels
COPY constraints.txt deploy/docker/install.sh deploy/docker/healthcheck.py /opt/ragloom/
RUN /opt/ragloom/install.sh /opt/venv /wheels /opt/ragloom/constraints.txt "$TORCH_INDEX_URL" \
    && rm -rf /wheels \
    && useradd --create-home --uid 10001 ragloom \
    && install -d -o ragloom -g ragloom /data
ENV PATH=/opt/venv/bin:$PATH RAGLOOM_HOST=0.0.0.0 RAGLOOM_PORT=8080 RAGLOOM_DATA=/data
USER ragloom
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s CMD ["python", "/opt/ragloom/healthcheck.py"]
CMD ["ragloom", "serve"]
