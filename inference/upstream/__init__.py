"""The engine that does not compute here but passes requests on: to vLLM servers, or to hosted providers."""
