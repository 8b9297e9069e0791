.PHONY: bench-tables
bench-tables: install test-programs ## lookup tables: a million rows, uniform lookups, against Debian's lmdb
	@node --disable-warning=ExperimentalWarning test/bench/tables.ts
