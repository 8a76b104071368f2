// Program temporal runs Temporal's server (all four services, SQLite, one history shard) and its web
// UI in one process, for development and tests. It creates the namespace with its search attributes
// and retention on the first start and keeps everything in one database file.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	stdlog "log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	clusterName = "local"
	clusterID   = "6b1c9d6e-0f0d-4f37-9d0e-5b5b0f3f7a11"
	storeName   = "sqlite"
)

// One search attribute per use of the flag: Name=Keyword, Name=Int, …
type searchAttributes map[string]enumspb.IndexedValueType

func (attributes searchAttributes) String() string {
	return fmt.Sprint(map[string]enumspb.IndexedValueType(attributes))
}

func (attributes searchAttributes) Set(value string) error {
	name, kind, _ := strings.Cut(value, "=")
	indexed, err := enumspb.IndexedValueTypeFromString(kind)
	if err != nil {
		return err
	}
	attributes[name] = indexed
	return nil
}

type options struct {
	ip, database, namespace              string
	port, httpPort, internalPort, uiPort int
	retention                            time.Duration
	attributes                           searchAttributes
}

func main() {
	chosen := options{attributes: searchAttributes{}}
	flag.StringVar(&chosen.ip, "ip", "127.0.0.1", "address to listen on")
	flag.IntVar(&chosen.port, "port", 7233, "gRPC port for clients and workers")
	flag.IntVar(&chosen.httpPort, "http-port", 7243, "port of the HTTP API")
	flag.IntVar(&chosen.internalPort, "internal-port", 7234, "first of three ports for the services among themselves")
	flag.IntVar(&chosen.uiPort, "ui-port", 8233, "port of the web UI")
	flag.StringVar(&chosen.database, "database", "temporal.db", "SQLite file, made when missing")
	flag.StringVar(&chosen.namespace, "namespace", "default", "namespace to create")
	flag.DurationVar(&chosen.retention, "retention", 30*24*time.Hour, "how long closed workflows stay readable")
	flag.Var(chosen.attributes, "search-attribute", "Name=Keyword, once for each attribute")
	flag.Parse()
	if err := run(chosen); err != nil {
		stdlog.Fatalf("temporal: %v", err)
	}
}

func run(chosen options) error {
	if err := prepareDatabase(chosen); err != nil {
		return err
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(serverConfig(chosen)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(staticHosts(chosen)),
		temporal.WithLogger(log.NewZapLogger(log.BuildZapLogger(log.Config{Stdout: true, Level: "warn"}))),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithDynamicConfigClient(dynamicconfig.StaticClient{
			dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 8192,
			dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
		}),
		temporal.InterruptOn(temporal.InterruptCh()),
	)
	if err != nil {
		return err
	}
	ui := uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                chosen.ip,
		Port:                chosen.uiPort,
		TemporalGRPCAddress: address(chosen.ip, chosen.port),
		EnableUI:            true,
		DefaultNamespace:    chosen.namespace,
		DisableNewsFetch:    true,
		HideLogs:            true,
		CORS:                uiconfig.CORS{CookieInsecure: true},
	}))
	go func() {
		if err := ui.Start(); err != nil {
			stdlog.Fatalf("temporal: the web UI cannot start: %v", err)
		}
	}()
	defer ui.Stop()
	return server.Start()
}

// prepareDatabase makes the schema and the namespace; both may be there already.
func prepareDatabase(chosen options) error {
	store := sqlConfig(chosen)
	if _, err := os.Stat(chosen.database); errors.Is(err, fs.ErrNotExist) {
		if err := sqliteschema.SetupSchema(store); err != nil {
			return fmt.Errorf("cannot create %s: %w", chosen.database, err)
		}
	}
	namespace, err := sqliteschema.NewNamespaceConfig(clusterName, chosen.namespace, false, chosen.attributes)
	if err != nil {
		return err
	}
	namespace.Detail.Config.Retention = durationpb.New(chosen.retention)
	return sqliteschema.CreateNamespaces(store, namespace)
}

func sqlConfig(chosen options) *config.SQL {
	return &config.SQL{
		PluginName:        sqlite.PluginName,
		DatabaseName:      chosen.database,
		ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "WAL", "synchronous": "OFF"},
	}
}

func serverConfig(chosen options) *config.Config {
	service := func(port int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: chosen.ip}}
	}
	frontend := service(chosen.port)
	frontend.RPC.HTTPPort = chosen.httpPort
	disabled := config.NamespaceDefaults{}
	disabled.Archival.History.State = "disabled"
	disabled.Archival.Visibility.State = "disabled"
	return &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: chosen.ip}},
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  storeName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{storeName: {SQL: sqlConfig(chosen)}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled: true, InitialFailoverVersion: 1, ClusterID: clusterID,
				RPCAddress:  address(chosen.ip, chosen.port),
				HTTPAddress: address(chosen.ip, chosen.httpPort),
			}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			"frontend": frontend,
			"history":  service(chosen.internalPort),
			"matching": service(chosen.internalPort + 1),
			"worker":   service(chosen.internalPort + 2),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: disabled,
		PublicClient:      config.PublicClient{HostPort: address(chosen.ip, chosen.port)},
	}
}

func staticHosts(chosen options) map[primitives.ServiceName]static.Hosts {
	host := func(port int) static.Hosts { return static.SingleLocalHost(address(chosen.ip, port)) }
	return map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: host(chosen.port),
		primitives.HistoryService:  host(chosen.internalPort),
		primitives.MatchingService: host(chosen.internalPort + 1),
		primitives.WorkerService:   host(chosen.internalPort + 2),
	}
}

func address(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }
