PYTHON ?= python

FUZZERS = capture packets frames pipeline

.PHONY: build test test-pure test-wheel fuzz fuzz-short lint bench notebook docs clean

build:  ## compile the hot modules beside their sources
	$(PYTHON) setup.py --quiet build_ext --inplace

test: build  ## the whole suite, on the compiled modules where there is a compiler
	$(PYTHON) -m pytest

test-pure:  ## the whole suite, on the same modules uncompiled
	ANALYZER_PURE=1 $(PYTHON) -m pytest

test-wheel:  ## the whole suite against an installed wheel, outside the checkout, without Cython
	PYTHON=$(PYTHON) .ci/test-wheel

fuzz:  ## fuzz for an hour each; inputs that reach something new are kept in build/fuzz
	$(MAKE) fuzz-short FUZZ_LIMIT=-max_total_time=3600

# By time and with a new seed, so that each run tries inputs that no run tried before (thousands a stage, hundreds of the
# pipeline); one that fails is printed, for CI keeps no files. An input takes under a second: at 60 it hangs anywhere.
fuzz-short: FUZZ_LIMIT ?= -max_total_time=15
fuzz-short:  ## fuzz for a quarter of a minute each
	for name in $(FUZZERS); do mkdir -p build/fuzz/$$name && \
	$(PYTHON) fuzz/fuzz_$$name.py build/fuzz/$$name fuzz/corpus/$$name $(FUZZ_LIMIT) \
	-max_len=20000 -timeout=60 -verbosity=0 -artifact_prefix=build/fuzz/$$name- || \
	{ base64 build/fuzz/$$name-*; exit 1; }; done

lint:  ## style and types
	$(PYTHON) -m ruff check . && $(PYTHON) -m mypy

bench: build  ## speed and memory beside the peers that are installed
	$(PYTHON) benchmarks/run.py

notebook:  ## run the notebook in place
	cd notebooks && $(PYTHON) -c "import nbclient, nbformat; name = 'why-did-it-close.ipynb'; book = nbformat.read(name, 4); nbclient.NotebookClient(book, record_timing=False).execute(); nbformat.write(book, name)"

docs:  ## write the tables of the manual from the package
	$(PYTHON) docs/make_tables.py

clean:  ## remove everything that is built
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache && find analyzer -name '*.so' -delete && find . -name __pycache__ -prune -exec rm -rf {} +
