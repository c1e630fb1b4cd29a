"""Token-level backends: what turns batches of tokens into logits. Each obeys ``base.Backend``."""

import os

# llama.cpp's threads meet hundreds of times per token. By default OpenMP lets them spin while they wait; as soon as
# another process wants a core (the browser, the app), the spinning thread keeps the late one from running and decoding
# falls to a tenth. Sleeping at once costs a quarter of the speed on an idle machine; a short spin first costs neither
# (1.5B model, two cores, tokens/s: always spinning 15.4, short spin 15.0, none 11.1; beside a busy loop 8.6 with and
# without the short spin). OpenMP reads this when it is loaded, so it is set here, before any backend is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
