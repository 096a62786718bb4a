// Command engine is a Temporal server with its UI in one process, for machines where the official CLI cannot be
// obtained. It takes the arguments of `temporal server start-dev` that Holdfast and Temporal's SDKs send.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/temporalio/ui-server/v2/server/version"
	"go.temporal.io/server/common/headers"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	switch err := run(os.Args[1:]); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, new(*usageError)):
		fmt.Fprintf(os.Stderr, "holdfast-temporal: %v\nRun `holdfast-temporal server start-dev --help` for the flags.\n", err)
		os.Exit(exitUsage)
	default:
		fmt.Fprintf(os.Stderr, "holdfast-temporal: %v\n", err)
		os.Exit(exitFailure)
	}
}

func run(arguments []string) error {
	if len(arguments) == 1 && arguments[0] == "--version" {
		fmt.Printf("holdfast-temporal %s (UI %s)\n", headers.ServerVersion, version.UIVersion)
		return nil
	}
	if len(arguments) < 2 || arguments[0] != "server" || arguments[1] != "start-dev" {
		return usagef("expected `server start-dev [flags]` or `--version`, got %q", arguments)
	}
	options, err := parseOptions(arguments[2:])
	if err != nil {
		return err
	}
	return serve(options)
}

func serve(options *options) error {
	// Registered before anything is started, so that an early SIGTERM also ends in an orderly stop.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)

	// The database holds people's names and messages.
	syscall.Umask(0o077)

	engine, err := newEngine(options)
	if err != nil {
		return err
	}
	if err := engine.start(); err != nil {
		return err
	}
	<-interrupted
	signal.Reset()
	return engine.stop()
}
