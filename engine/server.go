package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
	"go.uber.org/zap"
)

const (
	clusterName = "active"
	loopback    = "127.0.0.1"
)

type engine struct {
	logger   log.Logger
	logLevel zap.AtomicLevel
	store    *config.SQL
	server   temporal.Server
	ui       *uiserver.Server // nil when headless
}

func newEngine(o *options) (*engine, error) {
	if err := checkPorts(o); err != nil {
		return nil, err
	}
	logger, logLevel := newLogger(o)
	for _, warning := range o.dynamicConfig.Warnings {
		logger.Warn("Dynamic configuration", tag.Error(warning))
	}
	store := o.sqlConfig()
	if err := prepareStore(o, store); err != nil {
		return nil, err
	}
	server, err := newServer(o, store, logger)
	if err != nil {
		return nil, err
	}
	e := &engine{logger: logger, logLevel: logLevel, store: store, server: server}
	if !o.headless {
		e.ui = newUI(o)
	}
	return e, nil
}

func (e *engine) start() error {
	// The UI goes first, so that whoever finds the server answering finds the UI too.
	if e.ui != nil {
		go func() {
			if err := e.ui.Start(); err != nil {
				e.logger.Fatal("The UI could not start", tag.Error(err))
			}
		}()
	}
	return e.server.Start()
}

func (e *engine) stop() error {
	// The services complain about each other while they go down one after the other.
	e.logLevel.SetLevel(zap.ErrorLevel)
	if e.ui != nil {
		e.ui.Stop()
	}
	return errors.Join(e.server.Stop(), mergeLog(e.store))
}

// checkPorts finds a port that is taken before anything is created, and names the flag that moves it.
func checkPorts(o *options) error {
	wanted := []struct {
		flag, ip string
		port     int
	}{{"--port", o.ip, o.port}, {"--http-port", o.ip, o.httpPort}, {"--metrics-port", o.ip, o.metricsPort}}
	if !o.headless {
		wanted = append(wanted, struct {
			flag, ip string
			port     int
		}{"--ui-port", o.uiIP, o.uiPort})
	}
	for _, listen := range wanted {
		if listen.port == 0 {
			continue
		}
		listener, err := net.Listen("tcp", address(listen.ip, listen.port))
		if err != nil {
			return fmt.Errorf("%s: %w", listen.flag, err)
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}

// freePorts picks ports nobody uses; all are held until the last is picked, so that they differ.
func freePorts(count int) ([]int, error) {
	ports := make([]int, 0, count)
	for range count {
		listener, err := net.Listen("tcp", address(loopback, 0))
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func newServer(o *options, store *config.SQL, logger log.Logger) (temporal.Server, error) {
	inner, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	if o.httpPort == 0 {
		o.httpPort = inner[3]
	}
	ports := map[primitives.ServiceName]int{
		primitives.FrontendService: o.port,
		primitives.HistoryService:  inner[0],
		primitives.MatchingService: inner[1],
		primitives.WorkerService:   inner[2],
	}
	dynamicValues := dynamicconfig.StaticClient{}
	for key, values := range o.dynamicConfig.Map {
		dynamicValues[key] = values
	}
	return temporal.NewServer(
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithConfig(serverConfig(o, store, ports)),
		temporal.WithStaticHosts(staticHosts(o, ports)),
		temporal.WithDynamicConfigClient(dynamicValues),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
	)
}

func serverConfig(o *options, store *config.SQL, ports map[primitives.ServiceName]int) *config.Config {
	services := map[string]config.Service{}
	for service, port := range ports {
		services[string(service)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
	}
	services[string(primitives.FrontendService)] = config.Service{
		RPC: config.RPC{GRPCPort: o.port, BindOnIP: o.ip, HTTPPort: o.httpPort},
	}
	return &config.Config{
		Global:   config.Global{Metrics: metricsConfig(o)},
		Services: services,
		Persistence: config.Persistence{
			DefaultStore:     store.PluginName,
			VisibilityStore:  store.PluginName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{store.PluginName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: o.frontendAddress()},
			},
		},
		PublicClient: config.PublicClient{HostPort: o.frontendAddress()},
	}
}

func metricsConfig(o *options) *metrics.Config {
	if o.metricsPort == 0 {
		return nil
	}
	return &metrics.Config{Prometheus: &metrics.PrometheusConfig{
		ListenAddress: address(o.ip, o.metricsPort),
		HandlerPath:   "/metrics",
	}}
}

// staticHosts tells the four services where each of them is, which saves the gossip of a real cluster.
func staticHosts(o *options, ports map[primitives.ServiceName]int) map[primitives.ServiceName]static.Hosts {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for service, port := range ports {
		self := address(loopback, port)
		if service == primitives.FrontendService {
			self = o.frontendAddress()
		}
		hosts[service] = static.SingleLocalHost(self)
	}
	return hosts
}

func newUI(o *options) *uiserver.Server {
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		TemporalGRPCAddress: o.frontendAddress(),
		Host:                o.uiIP,
		Port:                o.uiPort,
		PublicPath:          o.uiPublicPath,
		UIAssetPath:         o.uiAssetPath,
		EnableUI:            true,
		HideLogs:            true,
		DisableNewsFetch:    true,
		DefaultNamespace:    o.namespaces[0],
		Codec:               uiconfig.Codec{Endpoint: o.uiCodecEndpoint},
		// The UI is served without TLS here, and browsers drop secure cookies then.
		CORS: uiconfig.CORS{CookieInsecure: true},
	}))
}

// frontendAddress is where this process itself reaches the server, also when that listens on every address.
func (o *options) frontendAddress() string {
	ip := o.ip
	if net.ParseIP(ip).IsUnspecified() {
		ip = loopback
	}
	return address(ip, o.port)
}

func address(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

// newLogger returns the server's logger and the level that silences it.
func newLogger(o *options) (log.Logger, zap.AtomicLevel) {
	level := zap.NewAtomicLevelAt(log.ParseZapLevel(o.logLevel))
	if o.logLevel == "never" {
		return log.NewNoopLogger(), level
	}
	encoding := "console"
	if o.logFormat == "json" {
		encoding = "json"
	}
	zapLogger := zap.Must(zap.Config{
		Level:            level,
		Encoding:         encoding,
		EncoderConfig:    log.DefaultZapEncoderConfig,
		OutputPaths:      []string{"stderr"},
		ErrorOutputPaths: []string{"stderr"},
	}.Build())
	return log.NewZapLogger(zapLogger), level
}
