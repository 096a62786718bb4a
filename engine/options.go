package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/dynamicconfig"
)

// usageError is a mistake in the arguments, as opposed to a failure to run.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, arguments ...any) error {
	return &usageError{fmt.Sprintf(format, arguments...)}
}

type options struct {
	ip, uiIP                                   string
	port, uiPort, httpPort, metricsPort        int
	headless                                   bool
	databaseFile                               string
	pragmas                                    map[string]string
	namespaces                                 []string
	searchAttributes                           map[string]enumspb.IndexedValueType
	dynamicConfig                              dynamicconfig.YamlLoader
	jwtKeysURI                                 string // empty lets everybody in
	logFormat, logLevel                        string
	uiPublicPath, uiAssetPath, uiCodecEndpoint string
}

func parseOptions(arguments []string) (*options, error) {
	o := &options{
		pragmas:          map[string]string{"journal_mode": "wal", "synchronous": "full"},
		namespaces:       []string{"default"},
		searchAttributes: map[string]enumspb.IndexedValueType{},
		dynamicConfig: dynamicconfig.YamlLoader{Map: dynamicconfig.ConfigValueMap{
			// Without it an attribute added through the API stays unknown to the frontend for a while.
			dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): {{Value: true}},
		}},
	}
	flags := o.flagSet()
	err := flags.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, usagef("%s", flagComplaint(err))
	case flags.NArg() > 0:
		return nil, usagef("unexpected argument %q", flags.Arg(0))
	}
	return o, o.complete()
}

// flagComplaint rewrites the flag package's message into the spelling people type.
func flagComplaint(err error) string {
	if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
		return "unknown flag --" + name
	}
	return strings.ReplaceAll(err.Error(), " flag -", " flag --")
}

func (o *options) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet("server start-dev", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Func("ip", "`address` the server listens on (default 127.0.0.1)", addressInto(&o.ip))
	flags.Func("ui-ip", "`address` the UI listens on (default that of --ip)", addressInto(&o.uiIP))
	flags.Func("port", "`port` of the server's gRPC API (default 7233)", portInto(&o.port))
	flags.Func("ui-port", "`port` of the UI (default that of --port plus 1000)", portInto(&o.uiPort))
	flags.Func("http-port", "`port` of the server's HTTP API (default any free one)", portInto(&o.httpPort))
	flags.Func("metrics-port", "`port` of the server's Prometheus metrics (default none)", portInto(&o.metricsPort))
	flags.BoolVar(&o.headless, "headless", false, "run without the UI")
	flags.StringVar(&o.databaseFile, "db-filename", "", "SQLite `file` that keeps everything (default memory)")
	flags.Func("sqlite-pragma", "SQLite pragma as `NAME=VALUE`, repeatable", o.addPragma)
	flags.Func("namespace", "`name` of a namespace to have besides default, repeatable", o.addNamespace)
	flags.Func("search-attribute", "search attribute as `NAME=TYPE`, repeatable", o.addSearchAttribute)
	flags.Func("dynamic-config-value", "server setting as `KEY=JSON`, repeatable", o.addDynamicConfig)
	flags.Func("jwt-keys-uri", "`address` (file://, http:// or https://) of the JSON web key set to check callers' tokens\n"+
		"with; then nobody gets in without a token, and the UI needs a proxy before it that adds\n"+
		"the user's as Authorization header (default none: everybody gets in)", o.setJWTKeys)
	flags.StringVar(&o.logFormat, "log-format", "text", "text, pretty or json")
	flags.StringVar(&o.logLevel, "log-level", "warn", "debug, info, warn, error or never")
	flags.StringVar(&o.uiPublicPath, "ui-public-path", "", "`path` under which the UI is reached")
	flags.StringVar(&o.uiAssetPath, "ui-asset-path", "", "`folder` with the UI's files (default built in)")
	flags.StringVar(&o.uiCodecEndpoint, "ui-codec-endpoint", "", "`address` of a codec server for the UI")
	return flags
}

func (o *options) complete() error {
	if o.ip == "" {
		o.ip = "127.0.0.1"
	}
	if o.uiIP == "" {
		o.uiIP = o.ip
	}
	if o.port == 0 {
		o.port = 7233
	}
	if o.uiPort == 0 {
		o.uiPort = o.port + 1000
	}
	if !oneOf(o.logFormat, "text", "pretty", "json") {
		return usagef("--log-format: %q is none of text, pretty, json", o.logFormat)
	}
	if !oneOf(o.logLevel, "debug", "info", "warn", "error", "never") {
		return usagef("--log-level: %q is none of debug, info, warn, error, never", o.logLevel)
	}
	return nil
}

func oneOf(value string, allowed ...string) bool { return slices.Contains(allowed, value) }

func addressInto(target *string) func(string) error {
	return func(text string) error {
		if text == "localhost" {
			text = "127.0.0.1"
		}
		if net.ParseIP(text) == nil {
			return errors.New("expected an IP address or localhost")
		}
		*target = text
		return nil
	}
}

func portInto(target *int) func(string) error {
	return func(text string) error {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return errors.New("expected a port from 1 to 65535")
		}
		*target = int(port)
		return nil
	}
}

func (o *options) addPragma(text string) error {
	name, value, err := splitPair(text)
	if err == nil && !oneOf(name, "journal_mode", "synchronous") {
		err = errors.New("supported are journal_mode and synchronous")
	}
	o.pragmas[name] = value
	return err
}

func (o *options) addNamespace(name string) error {
	if !slices.Contains(o.namespaces, name) {
		o.namespaces = append(o.namespaces, name)
	}
	return nil
}

func (o *options) addSearchAttribute(text string) error {
	name, typeName, err := splitPair(text)
	if err != nil {
		return err
	}
	valueType, err := enumspb.IndexedValueTypeFromString(typeName)
	if err != nil || valueType == enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
		return fmt.Errorf("%q is none of Text, Keyword, Int, Double, Bool, Datetime, KeywordList", typeName)
	}
	o.searchAttributes[name] = valueType
	return nil
}

func (o *options) addDynamicConfig(text string) error {
	key, value, err := splitPair(text)
	if err != nil {
		return err
	}
	if !json.Valid([]byte(value)) {
		return fmt.Errorf("the value of %s is not JSON (text needs double quotes)", key)
	}
	o.dynamicConfig.LoadValue(dynamicconfig.MakeKey(key), []byte(`[{"value": `+value+`}]`))
	return o.dynamicConfig.Err()
}

// setJWTKeys opens a file at once: the server would start without its keys, and then refuse everybody.
func (o *options) setJWTKeys(text string) error {
	uri, err := url.Parse(text)
	if err != nil {
		return err
	}
	o.jwtKeysURI = text
	switch {
	case uri.Scheme == "file" && uri.Host == "":
		file, err := os.Open(uri.Path)
		if err != nil {
			return err
		}
		return file.Close()
	case oneOf(uri.Scheme, "http", "https") && uri.Host != "":
		return nil
	}
	return errors.New("expected file:///PATH, http://… or https://…")
}

func splitPair(text string) (name, value string, err error) {
	name, value, found := strings.Cut(text, "=")
	if !found || name == "" {
		return "", "", errors.New("expected NAME=VALUE")
	}
	return name, value, nil
}
