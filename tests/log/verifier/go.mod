// The tests build this without a network: GO111MODULE=off, against the library that Debian packages as
// golang-golang-x-mod-dev. This file says which one that is.
module dockmaster.invalid/verifier

go 1.19

require golang.org/x/mod v0.7.0
