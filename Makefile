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
ROOMS   := base flag eval wire store client repl primary http
LIBS    := -lnng -lmsgpackc -ljansson -lmicrohttpd -lsodium -lyaml -lurcu-bp -lm

room_obj = $(patsubst %.c,$(BUILD)/%.o,$(wildcard src/$1/*.c))
upto     = $(if $(filter $1,$(firstword $2)),$1,$(firstword $2) $(call upto,$1,$(wordlist 2,99,$2)))
reverse  = $(if $1,$(call reverse,$(wordlist 2,99,$1)) $(firstword $1))
archives = $(patsubst %,$(BUILD)/%.a,$(call reverse,$(call upto,$1,$(ROOMS)))) $(BUILD)/lmdb.a

ALL_ARCHIVES := $(call archives,$(lastword $(ROOMS)))
PROGRAMS     := $(BUILD)/hoistd $(BUILD)/flagctl
LIBRARIES    := $(BUILD)/libhoist.a $(BUILD)/libhoist.so
EXAMPLES     := $(BUILD)/examples/read
UNIT         := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
FUZZ         := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH        := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/bench_*.c))

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
	$(CC) $(LDFLAGS) $$< $(call archives,$1) $(LIBS) -lcmocka -o $$@
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
	$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra $(OPT) $(SAN) -Iinclude $< $(BUILD)/libhoist.a $(CLIENT_LIBS) -pthread -o $@

.SECONDARY:
.DELETE_ON_ERROR:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
