# The tap alone. It needs two places to write: /state (the token store, which must survive between runs) and /tmp.
# `docker run --read-only --volume autodesk-state:/state --volume autodesk-tmp:/tmp …`
FROM python:3.13-slim AS build
# requirements/stores.txt has what buckets and databases need in addition.
ARG REQUIREMENTS=requirements/tap.txt
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv /opt/tap \
    && /opt/tap/bin/python -m pip install --no-cache-dir --require-hashes -r "$REQUIREMENTS" \
    && python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY tap_autodesk_exports/ tap_autodesk_exports/
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/tap/bin/python -m pip install --no-cache-dir --no-deps /wheels/*.whl \
    && /opt/tap/bin/python -m pip uninstall --yes pip \
    && /opt/tap/bin/tap-autodesk-exports --version

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tap \
    && install --directory --owner tap --group tap --mode 700 /state
COPY --from=build /opt/tap /opt/tap
ENV PATH=/opt/tap/bin:$PATH HOME=/tmp XDG_STATE_HOME=/state PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
VOLUME ["/state", "/tmp"]
USER tap
ENTRYPOINT ["tap-autodesk-exports"]
