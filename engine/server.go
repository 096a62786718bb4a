package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

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

	jwtKeysRefresh = time.Minute
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
	services, err := placeServices(o)
	if err != nil {
		return nil, err
	}
	settings := serverConfig(o, store, services)
	authorizer, err := authorization.GetAuthorizerFromConfig(&settings.Global.Authorization)
	if err != nil {
		return nil, err
	}
	claimMapper, err := authorization.GetClaimMapperFromConfig(&settings.Global.Authorization, logger)
	if err != nil {
		return nil, err
	}
	dynamicValues := dynamicconfig.StaticClient{}
	for key, values := range o.dynamicConfig.Map {
		dynamicValues[key] = values
	}
	return temporal.NewServer(
		temporal.ForServices(slices.Collect(maps.Keys(settings.Services))),
		temporal.WithConfig(settings),
		temporal.WithStaticHosts(staticHosts(o, services)),
		temporal.WithDynamicConfigClient(dynamicValues),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claimMapper }),
	)
}

// placeServices says which services run, and where each of them listens.
func placeServices(o *options) (map[primitives.ServiceName]config.RPC, error) {
	inner, err := freePorts(6)
	if err != nil {
		return nil, err
	}
	services := map[primitives.ServiceName]config.RPC{
		primitives.FrontendService: {GRPCPort: o.port, BindOnIP: o.ip, HTTPPort: cmp.Or(o.httpPort, inner[0])},
		primitives.HistoryService:  {GRPCPort: inner[1], BindOnIP: loopback},
		primitives.MatchingService: {GRPCPort: inner[2], BindOnIP: loopback},
		primitives.WorkerService:   {GRPCPort: inner[3], BindOnIP: loopback},
	}
	if o.jwtKeysURI != "" {
		// The server's own workers have no token, so they get an entrance of their own.
		services[primitives.InternalFrontendService] = config.RPC{
			GRPCPort: inner[4], BindOnIP: loopback, HTTPPort: inner[5],
		}
	}
	return services, nil
}

func serverConfig(o *options, store *config.SQL, services map[primitives.ServiceName]config.RPC) *config.Config {
	byName := map[string]config.Service{}
	for service, rpc := range services {
		byName[string(service)] = config.Service{RPC: rpc}
	}
	publicClient := config.PublicClient{HostPort: o.frontendAddress()}
	if o.jwtKeysURI != "" {
		publicClient = config.PublicClient{} // which means the internal frontend
	}
	return &config.Config{
		Global:   config.Global{Metrics: metricsConfig(o), Authorization: authorizationConfig(o)},
		Services: byName,
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
		PublicClient: publicClient,
	}
}

// authorizationConfig is empty, which means everybody may do everything, or asks each caller for a token.
func authorizationConfig(o *options) config.Authorization {
	if o.jwtKeysURI == "" {
		return config.Authorization{}
	}
	return config.Authorization{
		JWTKeyProvider: config.JWTKeyProvider{
			KeySourceURIs: []string{o.jwtKeysURI}, RefreshInterval: jwtKeysRefresh,
		},
		Authorizer:  "default",
		ClaimMapper: "default",
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

// staticHosts tells the services where each of them is, which saves the gossip of a real cluster.
func staticHosts(o *options, services map[primitives.ServiceName]config.RPC) map[primitives.ServiceName]static.Hosts {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for service, rpc := range services {
		self := address(loopback, rpc.GRPCPort)
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
