# KEDA's metrics API server on its own; the context is the folder of built programs.
FROM scratch
COPY keda-adapter /keda-adapter
USER 65532:65532
ENTRYPOINT ["/keda-adapter"]
