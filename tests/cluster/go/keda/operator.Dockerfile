# KEDA's operator on its own; the context is the folder of built programs.
FROM scratch
COPY keda /keda
USER 65532:65532
ENTRYPOINT ["/keda"]
