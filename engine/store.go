package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"syscall"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	persistencespb "go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence/serialization"
	persistencesql "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/common/searchattribute/sadefs"
	"go.temporal.io/server/schema/sqlite"
)

// sqlConfig says where the store is: one shared in-memory database, or a file.
func (o *options) sqlConfig() *config.SQL {
	if o.databaseFile == "" {
		return &config.SQL{
			PluginName:        sqliteplugin.PluginName,
			DatabaseName:      "holdfast",
			ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
		}
	}
	attributes := map[string]string{"mode": "rwc"}
	maps.Copy(attributes, o.pragmas)
	return &config.SQL{
		PluginName: sqliteplugin.PluginName,
		// SQLite reads the name as a URI, where a question mark or a percent sign would mean something.
		DatabaseName:      (&url.URL{Path: o.databaseFile}).EscapedPath(),
		ConnectAttributes: attributes,
	}
}

// prepareStore makes the database ready for a server: locked, with schema, namespaces and search attributes.
// It adds what is missing and changes nothing that is there.
func prepareStore(o *options, store *config.SQL) error {
	if o.databaseFile != "" {
		if err := lockFile(o.databaseFile + ".lock"); err != nil {
			return err
		}
		if err := createSchemaIfMissing(store); err != nil {
			return fmt.Errorf("--db-filename %s: %w", o.databaseFile, err)
		}
	}
	for _, name := range o.namespaces {
		if err := ensureNamespace(store, name, o.searchAttributes); err != nil {
			return fmt.Errorf("namespace %s: %w", name, err)
		}
	}
	return nil
}

// lockFile keeps a second server away from the same database. The kernel frees the lock when this process ends,
// however it ends, so the descriptor is deliberately never closed.
func lockFile(path string) error {
	descriptor, err := syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := syscall.Flock(descriptor, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another server uses this database already (%s is locked)", path)
	}
	return nil
}

// createSchemaIfMissing creates all tables in one transaction: a kill in the middle leaves none of them.
func createSchemaIfMissing(store *config.SQL) (err error) {
	database, err := adminDatabase(store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()

	tables, err := database.ListTables(store.DatabaseName)
	if err != nil || slices.Contains(tables, "namespaces") {
		return err
	}
	if len(tables) > 0 {
		return fmt.Errorf("this is a database of something else (it has the table %s)", tables[0])
	}
	if err := database.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := sqlite.SetupSchemaOnDB(database); err != nil {
		return errors.Join(err, database.Exec("ROLLBACK"))
	}
	return database.Exec("COMMIT")
}

func adminDatabase(store *config.SQL) (sqlplugin.AdminDB, error) {
	return persistencesql.NewSQLAdminDB(
		sqlplugin.DbKindUnknown, store, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
}

// mergeLog moves the write-ahead log into the database file, so that after an orderly stop that one file is all.
func mergeLog(store *config.SQL) error {
	database, err := adminDatabase(store)
	if err != nil {
		return err
	}
	return errors.Join(database.Exec("PRAGMA wal_checkpoint(TRUNCATE)"), database.Close())
}

func ensureNamespace(store *config.SQL, name string, attributes map[string]enumspb.IndexedValueType) error {
	wanted, err := sqlite.NewNamespaceConfig(clusterName, name, false, attributes)
	if err != nil {
		return err
	}
	if err := sqlite.CreateNamespaces(store, wanted); err != nil {
		return err
	}
	database, err := persistencesql.NewSQLDB(
		sqlplugin.DbKindUnknown, store, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		return err
	}
	return errors.Join(addMissingAttributes(database, name, attributes), database.Close())
}

// addMissingAttributes gives a namespace of an older run the search attributes that it lacks.
func addMissingAttributes(
	database sqlplugin.DB, name string, attributes map[string]enumspb.IndexedValueType,
) error {
	ctx := context.Background()
	rows, err := database.SelectFromNamespace(ctx, sqlplugin.NamespaceFilter{Name: &name})
	if err != nil {
		return err
	}
	row := &rows[0]
	serializer := serialization.NewSerializer()
	detail, err := serializer.NamespaceDetailFromBlob(&commonpb.DataBlob{
		EncodingType: enumspb.ENCODING_TYPE_PROTO3, Data: row.Data,
	})
	if err != nil {
		return err
	}
	if added, err := addAliases(detail.Config, attributes); err != nil || added == 0 {
		return err
	}
	blob, err := serializer.NamespaceDetailToBlob(detail)
	if err != nil {
		return err
	}
	row.Data, row.DataEncoding = blob.Data, blob.EncodingType.String()
	_, err = database.UpdateNamespace(ctx, row)
	return err
}

// addAliases gives each attribute one of the database's columns of its type, and counts the new ones.
func addAliases(
	namespace *persistencespb.NamespaceConfig, attributes map[string]enumspb.IndexedValueType,
) (added int, err error) {
	columns := sadefs.GetDBIndexSearchAttributes(nil).CustomSearchAttributes
	columnOf := map[string]string{}
	for column, attribute := range namespace.CustomSearchAttributeAliases {
		columnOf[attribute] = column
	}
	for attribute, valueType := range attributes {
		if column, known := columnOf[attribute]; known {
			if columns[column] != valueType {
				return 0, fmt.Errorf("search attribute %s is a %s in this database, not a %s",
					attribute, columns[column], valueType)
			}
			continue
		}
		column := freeColumn(columns, namespace.CustomSearchAttributeAliases, valueType)
		if column == "" {
			return 0, fmt.Errorf("search attribute %s: all columns of type %s are taken", attribute, valueType)
		}
		if namespace.CustomSearchAttributeAliases == nil {
			namespace.CustomSearchAttributeAliases = map[string]string{}
		}
		namespace.CustomSearchAttributeAliases[column] = attribute
		added++
	}
	return added, nil
}

func freeColumn(
	columns map[string]enumspb.IndexedValueType, taken map[string]string, valueType enumspb.IndexedValueType,
) string {
	for column, columnType := range columns {
		if _, used := taken[column]; columnType == valueType && !used {
			return column
		}
	}
	return ""
}
