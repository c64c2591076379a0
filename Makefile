# Hoist. `make help` lists what can be made.
#
# Sources are found by wildcard and dependencies by the compiler. Each room (src/NAME) becomes an
# archive, and a test of a room links that room and those above it only: the order is kept by the
# linker, too. A flavour of the build has a folder of its own (BUILD=).

BUILD   ?= build
PREFIX  ?= /usr/local
OPT     ?= -O2 -g
SAN     ?=
WERROR  ?= $(if $(CI),-Werror)
VERSION := 0.1.0

CPPFLAGS += -Iinclude -Isrc -MMD -MP
CFLAGS   += -std=gnu17 -D_GNU_SOURCE $(OPT) $(SAN) -fPIC -fvisibility=hidden -pthread \
            -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(WERROR)
LDFLAGS  += $(OPT) $(SAN) -pthread

# From the top down: a room may include only rooms that stand before it here.
ROOMS   := base flag eval wire release store usage client access repl primary http
LIBS    := -lmbedtls -lmbedx509 -lmbedcrypto -lmsgpackc -ljansson -lmicrohttpd -lcurl -lgnutls -lsodium -lyaml -lurcu-bp -lm

room_obj = $(patsubst %.c,$(BUILD)/%.o,$(wildcard src/$1/*.c))
upto     = $(if $(filter $1,$(firstword $2)),$1,$(firstword $2) $(call upto,$1,$(wordlist 2,99,$2)))
reverse  = $(if $1,$(call reverse,$(wordlist 2,99,$1)) $(firstword $1))
archives = $(patsubst %,$(BUILD)/%.a,$(call reverse,$(call upto,$1,$(ROOMS)))) $(BUILD)/lmdb.a $(BUILD)/nng.a

ALL_ARCHIVES := $(call archives,$(lastword $(ROOMS)))
PROGRAMS     := $(BUILD)/hoistd $(BUILD)/flagctl
LIBRARIES    := $(BUILD)/libhoist.a $(BUILD)/libhoist.so
EXAMPLES     := $(BUILD)/examples/read $(BUILD)/examples/marketplace/marketplace
UNIT         := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
FUZZ         := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY       := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/tests/fuzz/replay_%,$(wildcard tests/fuzz/fuzz_*.c))
PRELOADED    := $(patsubst %,tests/system/%.c,clock_shift kill_at disk_fault power_loss alloc_fault slow_data)
SYSTEM_HELPERS := $(patsubst %.c,$(BUILD)/%,$(filter-out $(PRELOADED),$(wildcard tests/system/*.c))) \
                $(patsubst %.c,$(BUILD)/%.so,$(PRELOADED))
SIM          := $(BUILD)/tests/sim/sim
CROWD        := $(BUILD)/tests/unit/test_repl_stampede
EVAL_LINES   := $(BUILD)/tests/differential/eval_lines
# What the system tests run, beside the programs.
SYSTEM_NEEDS := $(SYSTEM_HELPERS) $(CROWD) $(EVAL_LINES) $(BUILD)/node/.installed
SOURCES      := $(sort $(wildcard include/*.h src/*/*.[ch] tools/*/*.[ch] tests/*/*.[ch] bench/*.[ch] examples/*/*.[ch]))
BENCH        := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/bench_*.c))
SCALE        := $(patsubst %.c,$(BUILD)/%.o,$(wildcard bench/scale*.c)) $(BUILD)/bench/common.o

all: $(PROGRAMS) $(LIBRARIES) $(EXAMPLES)  ## the programs, the library, the examples
	@echo "built $(BUILD)/hoistd, $(BUILD)/flagctl, $(BUILD)/libhoist.a and .so; try: make run, make check"

# ---------------------------------------------------------------- building

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

define room_rules
$(BUILD)/$1.a: $(call room_obj,$1)
	@mkdir -p $$(@D)
	@rm -f $$@
	$(AR) rcs $$@ $$^
$(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_$1_*.c)): $(BUILD)/%: $(BUILD)/%.o $(call archives,$1)
	$(CC) $(LDFLAGS) $$(filter %.o,$$^) $(call archives,$1) $(LIBS) -lcmocka -o $$@
endef
$(foreach room,$(ROOMS),$(eval $(call room_rules,$(room))))

# Debian's LMDB with getpid, fcntl, stderr and abort taken from src/store/lmdb_os.c, so that readers
# are told apart across pid namespaces (docs/containers.md). The archive is position-independent (PIE)
# but for its use of `stderr`: with that name ours, it goes into the shared library as well.
LMDB_A := $(firstword $(wildcard /usr/lib/*/liblmdb.a /usr/lib/liblmdb.a))
$(BUILD)/lmdb.a: src/store/lmdb_os.syms
	@mkdir -p $(@D)
	@test -n "$(LMDB_A)" || { echo "liblmdb.a is missing: make deps" >&2; exit 1; }
	objcopy --redefine-syms=$< $(LMDB_A) $@

# Debian's nng, in whose connections an operation that comes too late ends (nng_close.c), whose handshakes
# are by the curve that costs least (nng_curves.c), whose messages are a TLS record each (nng_record.c), and
# whose connections by old certificates can be ended (nng_old.c).
NNG_A := $(firstword $(wildcard /usr/lib/*/libnng.a /usr/lib/libnng.a))
$(BUILD)/nng.a: $(patsubst %,$(BUILD)/src/repl/nng_%.o,close curves old record)
	@test -n "$(NNG_A)" || { echo "libnng.a is missing: make deps" >&2; exit 1; }
	@mkdir -p $(BUILD)/nng
	cd $(BUILD)/nng && ar x $(NNG_A) tls_common.c.o posix_tcpconn.c.o posix_ipcconn.c.o
	objcopy --redefine-sym nni_aio_begin=hoist_aio_begin $(BUILD)/nng/posix_tcpconn.c.o
	objcopy --redefine-sym nni_aio_begin=hoist_aio_begin $(BUILD)/nng/posix_ipcconn.c.o
	objcopy --redefine-sym nni_aio_begin=hoist_aio_begin \
	  --redefine-sym nni_aio_finish_error=hoist_aio_finish_error \
	  --redefine-sym nni_aio_get_iov=hoist_aio_get_iov $(BUILD)/nng/tls_common.c.o
	objcopy $(foreach f,config_defaults handshake read write,--redefine-sym mbedtls_ssl_$f=hoist_ssl_$f) $(NNG_A) $@.new
	ar r $@.new $(BUILD)/nng/*.o $^
	mv $@.new $@

$(BUILD)/hoistd: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/hoistd/*.c)) $(ALL_ARCHIVES)
	$(CC) $(LDFLAGS) $^ $(LIBS) -o $@
$(BUILD)/flagctl: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/flagctl/*.c)) $(ALL_ARCHIVES)
	$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

# The library is one object: what the client needs of the rooms above it, with every name but hoist_*
# made local, so that it cannot meet another LMDB, or another `store_open`, in somebody's program.
$(BUILD)/libhoist.o: $(call archives,client)
	$(LD) -r -o $@.tmp --whole-archive $(BUILD)/client.a --no-whole-archive \
	  --start-group $(filter-out $(BUILD)/client.a,$^) --end-group
	objcopy -w --keep-global-symbol='hoist_*' $@.tmp $@
	@rm -f $@.tmp
$(BUILD)/libhoist.a: $(BUILD)/libhoist.o
	@rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/libhoist.so: $(BUILD)/libhoist.o
	$(CC) $(LDFLAGS) -shared -Wl,-soname,libhoist.so.0 -Wl,-z,nodelete -Wl,-z,text \
	  $(if $(SAN),,-Wl,-z,defs) $^ $(CLIENT_LIBS) -o $@
	ln -sf libhoist.so $(BUILD)/libhoist.so.0
CLIENT_LIBS := -lurcu-bp -lm

$(BUILD)/examples/read: examples/read/read.c $(BUILD)/libhoist.a
	@mkdir -p $(@D)
	$(CC) -std=c11 -Wall -Wextra $(WERROR) $(OPT) $(SAN) -Iinclude $< $(BUILD)/libhoist.a $(CLIENT_LIBS) -pthread -o $@

MARKETPLACE := $(patsubst %.c,$(BUILD)/%.o,$(wildcard examples/marketplace/*.c)) $(BUILD)/libhoist.a
$(BUILD)/examples/marketplace/marketplace: $(MARKETPLACE)
	$(CC) $(LDFLAGS) $^ $(CLIENT_LIBS) -llmdb -lmicrohttpd -lcurl -ljansson -o $@
$(BUILD)/bench/marketplace_reads: $(BUILD)/bench/flag_reads.o $(MARKETPLACE)
	$(CC) $(LDFLAGS) -Wl,--wrap=flag_is_on $^ $(CLIENT_LIBS) -llmdb -lmicrohttpd -lcurl -ljansson -o $@

# What a page says of a command is what the program itself says of it.
$(BUILD)/man/%.1: docs/man/%.1.scd tools/man-page $(BUILD)/%
	@mkdir -p $(@D)
	tools/man-page $(BUILD)/$* $< > $@.scd
	scdoc < $@.scd > $@
man: $(BUILD)/man/flagctl.1 $(BUILD)/man/hoistd.1  ## the manual pages

# ---------------------------------------------------------------- tests

unit: $(UNIT)  ## the unit tests (ONLY=part of a name)
	@tests/run unit --build $(BUILD) --only '$(ONLY)'
system: all $(SYSTEM_NEEDS)  ## the system tests: real processes (ONLY=a pytest -k expression)
	@tests/run system --build $(BUILD) --only '$(ONLY)'
corpus: $(REPLAY)  ## replay the fuzzers' corpora
	@tests/run corpus --build $(BUILD)
sim: $(SIM)  ## a fleet in a virtual network, with faults, from one seed (SEED=N plays it again; STEPS=1000000)
	$(SIM) $(or $(SEED),$(shell date +%s%N)) $(STEPS)
rooms:  ## who includes what: the order of the rooms, and each library in its room
	@tools/check-rooms
fmt:  ## format the sources
	clang-format -i $(SOURCES)
fmt-check:
	@clang-format --dry-run -Werror $(SOURCES)
clang-check:  ## every source through clang, warnings as errors
	@printf '%s\n' $(filter-out bench/%,$(filter %.c,$(SOURCES))) | xargs -n 8 -P 2 clang $(filter-out -MMD -MP,$(CPPFLAGS)) $(filter-out -Werror,$(CFLAGS)) -Werror -fsyntax-only
check: deps deps-check  ## install what is missing, build, run every test
	@$(MAKE) --no-print-directory all $(UNIT) $(REPLAY) $(SIM) $(SYSTEM_NEEDS)
	@tests/run all --build $(BUILD)
asan:  ## check, under address and undefined-behaviour sanitizers
	LSAN_OPTIONS='suppressions=$(CURDIR)/tests/lsan.supp' \
	$(MAKE) check BUILD=build/asan OPT='-O1 -g' SAN='-fsanitize=address,undefined -fno-omit-frame-pointer'
tsan:  ## the unit tests with threads, under the thread sanitizer
	$(MAKE) deps deps-check
	TSAN_OPTIONS='die_after_fork=0 suppressions=$(CURDIR)/tests/tsan.supp' \
	$(MAKE) unit CC=clang BUILD=build/tsan OPT='-O1 -g' SAN=-fsanitize=thread ONLY='$(or $(ONLY),store|usage|client|repl|primary|http|queue|metrics)'
# Which of the system tests: those in which threads of ours meet, but for what takes too long ten times
# slower, and lengths that are only claimed, whose shadow the sanitizer would touch. Each report is a file of its own.
TSAN_SYSTEM := (test_access or test_backup or test_bad_relay or test_certs or test_change or test_fleet or test_host.py or test_hostile or \
                test_lifecycle or test_linear or test_net_faults or test_network or test_notify or test_ofrep or test_private or test_relay or \
                test_release.py or test_release_guards or test_release_plan or test_release_status or test_rotation or test_set_back or \
                test_succession or test_tls or test_trust or test_usage or test_webhook) \
               and not (soak or 100000_flags or under_a_stuck_reader or 30_seconds_during or long_lengths)
tsan-system:  ## system tests with threads, under the thread sanitizer (ONLY=a pytest -k expression)
	@rm -rf build/tsan/races && mkdir -p build/tsan/races
	TSAN_OPTIONS='die_after_fork=0 suppressions=$(CURDIR)/tests/tsan.supp log_path=$(CURDIR)/build/tsan/races/race' \
	$(MAKE) system CC=clang BUILD=build/tsan OPT='-O1 -g' SAN=-fsanitize=thread ONLY='$(or $(ONLY),$(TSAN_SYSTEM))'
	@! cat build/tsan/races/* 2>/dev/null
soak: deps deps-check deps-soak all  ## the fault suite, long: SEED=N, SOAK_SECONDS=N (1800) of the load in which nothing may grow
	@$(MAKE) --no-print-directory $(SYSTEM_NEEDS) $(if $(ONLY),,$(SIM) $(BUILD)/tests/unit/test_store_flip)
	$(if $(ONLY),,$(SIM) $(or $(SEED),$(shell date +%s%N)) 5000000)
	$(if $(ONLY),,HOIST_SOAK=1 $(BUILD)/tests/unit/test_store_flip)
	HOIST_SOAK=1 tests/run system --build $(BUILD) --only '$(or $(ONLY),soak or hostile or changes_go_on)'

previous:  ## the programs of another commit (REV=commit) in build/previous; test_previous.py mixes them with these
	@test -n "$(REV)" || { echo "say which: make previous REV=COMMIT" >&2; exit 2; }
	rm -rf build/previous
	mkdir -p build/previous/source
	git archive $(REV) | tar -x -C build/previous/source
	$(MAKE) -C build/previous/source BUILD='$(CURDIR)/build/previous' '$(CURDIR)/build/previous/hoistd' '$(CURDIR)/build/previous/flagctl'

marketplace-performance: all  ## the example's speed beside that of another commit (REV=commit), within its limits
	@test -n "$(REV)" || { echo "say which: make marketplace-performance REV=COMMIT" >&2; exit 2; }
	rm -rf build/previous-marketplace
	mkdir -p build/previous-marketplace/source
	git archive $(REV) | tar -x -C build/previous-marketplace/source
	$(MAKE) -C build/previous-marketplace/source BUILD='$(CURDIR)/build/previous-marketplace' '$(CURDIR)/build/previous-marketplace/examples/marketplace/marketplace'
	@BUILD=$(BUILD) examples/marketplace/performance-here build/previous-marketplace/examples/marketplace/marketplace

# libFuzzer is clang's. FUZZ_SECONDS each, on the corpora in tests/fuzz/corpus.
FUZZ_SECONDS ?= 600
fuzz: deps deps-check  ## run each fuzzer for FUZZ_SECONDS (600); ONLY=NAME, as in tests/fuzz/fuzz_NAME.c
	$(MAKE) CC=clang BUILD=build/fuzz OPT='-O1 -g' SAN='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined' $(patsubst $(BUILD)/%,build/fuzz/%,$(FUZZ))
	@tests/run fuzz --build build/fuzz --seconds $(FUZZ_SECONDS) --only '$(ONLY)'
$(FUZZ): $(BUILD)/%: $(BUILD)/%.o $(ALL_ARCHIVES)
	$(CC) $(LDFLAGS) -fsanitize=fuzzer $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -lcmocka -o $@
$(REPLAY): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(ALL_ARCHIVES)
	$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -lcmocka -o $@
$(BUILD)/tests/fuzz/fuzz_options $(BUILD)/tests/fuzz/replay_options: $(BUILD)/tools/hoistd/settings.o
$(BUILD)/tests/fuzz/fuzz_flagctl $(BUILD)/tests/fuzz/replay_flagctl: $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/main.c,$(wildcard tools/flagctl/*.c)))
$(filter-out %.so,$(SYSTEM_HELPERS)): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libhoist.a
	$(CC) $(LDFLAGS) $^ $(CLIENT_LIBS) -o $@
$(EVAL_LINES): $(BUILD)/%: $(BUILD)/%.o $(call archives,client)
	$(CC) $(LDFLAGS) $^ $(LIBS) -o $@
# Its objects stand before the archives, whose clock and connections they stand in for.
$(SIM): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/*.c)) $(ALL_ARCHIVES)
	$(CC) $(LDFLAGS) $^ $(LIBS) -o $@
# What the tests and the benches compare with, from npm; no script of a package is run. Where it is
# not to be had, the tests that need it are skipped, and say so.
$(BUILD)/node/.installed: tests/node/package.json
$(BUILD)/bench-node/.installed: bench/package.json
$(BUILD)/node/.installed $(BUILD)/bench-node/.installed:
	@mkdir -p $(@D)
	cp $< $(@D)/package.json
	cd $(@D) && { npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1 \
	  && touch $(@F) || echo "npm's packages cannot be had here: the tests that need them are skipped" >&2; }
$(patsubst %.c,$(BUILD)/%.so,$(PRELOADED)): $(BUILD)/%.so: %.c
	@mkdir -p $(@D)
	$(CC) -shared -fPIC -O2 -Wall -Wextra -D_GNU_SOURCE $< -o $@

# ---------------------------------------------------------------- benches

bench: deps deps-check deps-bench all  ## measure (ONLY=name,…): a table, and build/bench.json
	@$(MAKE) --no-print-directory $(BENCH) $(BUILD)/bench/marketplace_reads $(BUILD)/bench-node/.installed
	@bench/run --build $(BUILD) --only '$(ONLY)'
$(BENCH): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/bench/common.o $(ALL_ARCHIVES)
	$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -lhiredis -o $@
$(BUILD)/bench/bench_scale $(BUILD)/tests/unit/test_primary_scale: $(SCALE)
$(BUILD)/bench/bench_converge $(BUILD)/bench/bench_release $(BUILD)/bench/bench_tree $(BUILD)/bench/bench_trust: $(BUILD)/bench/stores.o $(BUILD)/bench/hosts.o

# ---------------------------------------------------------------- running, installing

run: deps  ## a primary and three agents here, flags imported, one set and seen; DEMO=once ends by itself
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) DEMO=$(DEMO) examples/demo
stack: deps deps-stack  ## Hoist, the marketplace, Prometheus and Alertmanager here, until ^C; STACK=once ends by itself
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) STACK=$(STACK) examples/stack
release-demo: deps deps-stack  ## the launch of the marketplace in minutes, then one that goes back by itself; DEMO=launch or DEMO=abort: one of them
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) examples/launch/launch --act $(or $(DEMO),all)
gdb: all  ## a primary under gdb, stopping where an error is born
	gdb -q -ex 'break err_set' -ex run --args $(BUILD)/hoistd dev --store $(BUILD)/gdb-store

install: all man  ## into DESTDIR/PREFIX: programs, library, header, pkg-config, units, manual, completion
	install -D -m 755 $(BUILD)/hoistd $(DESTDIR)$(PREFIX)/bin/hoistd
	install -D -m 755 $(BUILD)/flagctl $(DESTDIR)$(PREFIX)/bin/flagctl
	install -D -m 644 include/hoist.h $(DESTDIR)$(PREFIX)/include/hoist.h
	install -D -m 644 $(BUILD)/libhoist.a $(DESTDIR)$(PREFIX)/lib/libhoist.a
	install -D -m 755 $(BUILD)/libhoist.so $(DESTDIR)$(PREFIX)/lib/libhoist.so.$(VERSION)
	ln -sf libhoist.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libhoist.so.0
	ln -sf libhoist.so.0 $(DESTDIR)$(PREFIX)/lib/libhoist.so
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' deploy/hoist.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/hoist.pc
	for unit in deploy/*.service deploy/*.timer; do \
	  sed 's|/usr/local|$(PREFIX)|g' $$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit 1; done
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(BUILD)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/doc/hoist
	$(BUILD)/flagctl completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/flagctl
	install -m 644 README.md CHANGELOG.md LICENSE deploy/hoistd.yaml $(DESTDIR)$(PREFIX)/share/doc/hoist
	install -d $(DESTDIR)$(PREFIX)/share/doc/hoist/docs
	install -m 644 docs/*.md $(DESTDIR)$(PREFIX)/share/doc/hoist/docs
	$(if $(DESTDIR),,-ldconfig)
clean:  ## remove what was built
	rm -rf build

deps:  ## install what building and running need
	@tools/deps build
deps-check:  ## install what the tests need
	@tools/deps check
deps-bench:  ## install what the benches compare with
	@tools/deps bench
deps-stack:  ## install what the stack runs: Prometheus, Alertmanager
	@tools/deps stack
deps-soak:  ## install what the long tests need beside that: a browser
	@tools/deps soak

help:  ## this list
	@awk -F ':.*##  *' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all man unit system corpus sim rooms fmt fmt-check clang-check check asan tsan tsan-system soak previous marketplace-performance fuzz bench run stack release-demo gdb install clean \
        deps deps-check deps-bench deps-stack deps-soak help

.SECONDARY:
.DELETE_ON_ERROR:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
