# One file for the three images: --target operator, serving or monitor. Needs nothing but the classic builder.
# In each image: Python with the part's libraries in /opt/podium/venv, our packages in /opt/podium/lib, user 65532, no cache and
# no compiler. pip is in the base image only, not in the venv: images that the operator builds on `serving` install with it.
# The base image has Python's headers, too: what serving runs for every request is compiled here, beside its sources.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
# A company's own index and CA bundle: pip.conf and ca.crt in .build/pip of the build context. Neither reaches a final image.
COPY requirements/serving.txt requirements/operator.txt requirements/monitor.txt requirements/compile.txt .build/pip/pip.con[f] .build/pip/ca.cr[t] /build/
COPY hack/images/install.sh /build/

FROM builder AS operator-files
RUN sh /build/install.sh operator
COPY crds/podium_crds /opt/podium/lib/podium_crds
COPY operator/podium_operator /opt/podium/lib/podium_operator
RUN sh /build/install.sh --bytecode

FROM builder AS serving-files
RUN sh /build/install.sh serving
RUN sh /build/install.sh compile
COPY hack/compiled/building.py hack/compiled/modules.txt /build/compiled/
COPY crds/podium_crds /opt/podium/lib/podium_crds
COPY serving/podium_serving /opt/podium/lib/podium_serving
RUN sh /build/install.sh --native
RUN sh /build/install.sh --bytecode

FROM builder AS monitor-files
RUN sh /build/install.sh monitor
COPY crds/podium_crds /opt/podium/lib/podium_crds
COPY evaluation/podium_evaluation /opt/podium/lib/podium_evaluation
COPY pages/podium_pages /opt/podium/lib/podium_pages
COPY monitor/podium_monitor /opt/podium/lib/podium_monitor
RUN sh /build/install.sh --bytecode

FROM ${BASE_IMAGE} AS final
ENV PATH=/opt/podium/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONPATH=/opt/podium/lib PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# The user is a number without an entry in /etc/passwd, any number where a cluster assigns them: libraries that ask find these.
ENV USER=podium HOME=/tmp
WORKDIR /tmp
USER 65532:65532

FROM final AS operator
COPY --from=operator-files /opt/podium/venv /opt/podium/venv
COPY --from=operator-files /opt/podium/lib /opt/podium/lib
EXPOSE 8085
ENTRYPOINT ["python", "-m", "podium_operator"]

FROM final AS monitor
COPY --from=monitor-files /opt/podium/venv /opt/podium/venv
COPY --from=monitor-files /opt/podium/lib /opt/podium/lib
EXPOSE 8090 8091
ENTRYPOINT ["python", "-m", "podium_monitor"]

FROM final AS serving
COPY --from=serving-files /opt/podium/venv /opt/podium/venv
COPY --from=serving-files /opt/podium/lib /opt/podium/lib
EXPOSE 8080 8081 8082 9000
ENTRYPOINT ["python", "-m", "podium_serving"]
CMD ["serve"]
