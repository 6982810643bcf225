package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/crypto/bcrypt"
)

const (
	rootName     = "root"
	rootPassword = "dragonfly"
)

type mysqlConfig struct {
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	Host     string `yaml:"host"`
	Port     int    `yaml:"port"`
	DBName   string `yaml:"dbname"`
	Migrate  bool   `yaml:"migrate"`
}

// Names and types as the real ones have them, so that a manager of a later release finds its rows: of the columns, those
// that are used here. The rest it adds itself.
var tables = []string{
	"CREATE TABLE IF NOT EXISTS `user` (" + everyRow + `,
		name VARCHAR(256) NOT NULL,
		email VARCHAR(256) NOT NULL DEFAULT '',
		encrypted_password VARCHAR(1024),
		state VARCHAR(256) DEFAULT 'enable',
		UNIQUE uk_user_name (name)
	)`,
	memberTable(schedulerKind),
	memberTable(seedPeerKind),
}

const everyRow = `
		id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
		created_at DATETIME(3) NULL DEFAULT CURRENT_TIMESTAMP(3),
		updated_at DATETIME(3) NULL DEFAULT CURRENT_TIMESTAMP(3),
		is_del BIGINT UNSIGNED NOT NULL DEFAULT 0`

func memberTable(kind memberKind) string {
	return "CREATE TABLE IF NOT EXISTS " + string(kind) + " (" + everyRow + `,
		host_name VARCHAR(256) NOT NULL,
		ip VARCHAR(256) NOT NULL,
		port INT NOT NULL,
		` + kind.cluster() + ` BIGINT UNSIGNED NOT NULL,
		state VARCHAR(256) DEFAULT '` + string(inactive) + `',
		UNIQUE uk_` + string(kind) + " (host_name, ip, " + kind.cluster() + `)
	)`
}

// cluster is the column that says which cluster of its kind a member is in.
func (k memberKind) cluster() string {
	return string(k) + "_cluster_id"
}

// database is the manager's, with its users and what has registered.
type database struct {
	pool *sql.DB
}

var errWrongPassword = errors.New("wrong password")

func openDatabase(ctx context.Context, config mysqlConfig) (*database, error) {
	address := net.JoinHostPort(config.Host, strconv.Itoa(config.Port))
	options := mysql.NewConfig()
	options.User, options.Passwd = config.User, config.Password
	options.Net, options.Addr, options.DBName = "tcp", address, config.DBName
	// A row that is found counts, though nothing in it changes.
	options.ClientFoundRows = true
	options.Timeout = 10 * time.Second
	connector, err := mysql.NewConnector(options)
	if err != nil {
		return nil, err
	}
	opened := &database{sql.OpenDB(connector)}
	if err := opened.prepare(ctx, config.Migrate); err != nil {
		opened.close()
		return nil, fmt.Errorf("mysql %s, user %s, database %s: %w", address, config.User, config.DBName, err)
	}
	log.Printf("mysql %s: signed in as %s", address, config.User)
	return opened, nil
}

func (d *database) prepare(ctx context.Context, migrate bool) error {
	if err := d.pool.PingContext(ctx); err != nil {
		return err
	}
	if migrate {
		for _, table := range tables {
			if _, err := d.pool.ExecContext(ctx, table); err != nil {
				return err
			}
		}
	}
	var users int
	if err := d.pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM `user`").Scan(&users); err != nil || users > 0 {
		return err
	}
	log.Printf("first start: creates the user %s", rootName)
	_, err := d.addUser(ctx, rootName, "", rootPassword)
	if isDuplicate(err) {
		// Another manager was faster.
		return nil
	}
	return err
}

func (d *database) close() {
	_ = d.pool.Close()
}

func (d *database) addUser(ctx context.Context, name, email, password string) (int64, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return 0, err
	}
	result, err := d.pool.ExecContext(
		ctx, "INSERT INTO `user` (name, email, encrypted_password) VALUES (?, ?, ?)", name, email, string(hash),
	)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// signIn gives the id of the user with that name and password.
func (d *database) signIn(ctx context.Context, name, password string) (int64, error) {
	var id int64
	var hash string
	row := d.pool.QueryRowContext(ctx, "SELECT id, encrypted_password FROM `user` WHERE name = ?", name)
	if err := row.Scan(&id, &hash); err != nil {
		return 0, err
	}
	return id, compare(hash, password)
}

// resetPassword changes a user's password for whoever knows the old one.
func (d *database) resetPassword(ctx context.Context, id int64, old, new string) error {
	var hash string
	row := d.pool.QueryRowContext(ctx, "SELECT encrypted_password FROM `user` WHERE id = ?", id)
	if err := row.Scan(&hash); err != nil {
		return err
	}
	if err := compare(hash, old); err != nil {
		return err
	}
	changed, err := bcrypt.GenerateFromPassword([]byte(new), bcrypt.DefaultCost)
	if err != nil {
		return err
	}
	_, err = d.pool.ExecContext(ctx, "UPDATE `user` SET encrypted_password = ? WHERE id = ?", string(changed), id)
	return err
}

func compare(hash, password string) error {
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return errWrongPassword
	}
	return err
}

func isDuplicate(err error) bool {
	const duplicateEntry = 1062
	var failure *mysql.MySQLError
	return errors.As(err, &failure) && failure.Number == duplicateEntry
}

// update writes where a member is reached. Its state stays, and is inactive in a new row: only keep-alives change it.
func (d *database) update(ctx context.Context, registered member) error {
	err := d.change(ctx, registered, "ip = ?, port = ?", registered.ip, registered.port)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = d.pool.ExecContext(
		ctx,
		"INSERT INTO "+string(registered.kind)+" (host_name, ip, port, "+registered.kind.cluster()+") VALUES (?, ?, ?, ?)",
		registered.hostname, registered.ip, registered.port, registered.cluster,
	)
	return err
}

func (d *database) setState(ctx context.Context, registered member, state memberState) error {
	return d.change(ctx, registered, "state = ?", string(state))
}

// change sets columns of the member's row, which is the first with its name in its cluster, whatever its address.
func (d *database) change(ctx context.Context, registered member, columns string, values ...any) error {
	result, err := d.pool.ExecContext(
		ctx,
		"UPDATE "+string(registered.kind)+" SET "+columns+" WHERE host_name = ? AND "+
			registered.kind.cluster()+" = ? ORDER BY id LIMIT 1",
		append(values, registered.hostname, registered.cluster)...,
	)
	if err != nil {
		return err
	}
	found, err := result.RowsAffected()
	if err == nil && found == 0 {
		return sql.ErrNoRows
	}
	return err
}

// registered is a row of schedulers or seed peers as the REST API tells it.
type registered struct {
	ID       int64       `json:"id"`
	HostName string      `json:"host_name"`
	IP       string      `json:"ip"`
	Port     int         `json:"port"`
	Cluster  int64       `json:"cluster_id"`
	State    memberState `json:"state"`
}

func (d *database) members(ctx context.Context, kind memberKind) ([]registered, error) {
	rows, err := d.pool.QueryContext(
		ctx, "SELECT id, host_name, ip, port, "+kind.cluster()+", state FROM "+string(kind)+" ORDER BY id",
	)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := []registered{}
	for rows.Next() {
		var row registered
		if err := rows.Scan(&row.ID, &row.HostName, &row.IP, &row.Port, &row.Cluster, &row.State); err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	return found, rows.Err()
}

func (d *database) activeSchedulers(ctx context.Context) ([]string, error) {
	found, err := d.members(ctx, schedulerKind)
	if err != nil {
		return nil, err
	}
	addresses := []string{}
	for _, scheduler := range found {
		if scheduler.State == active {
			addresses = append(addresses, net.JoinHostPort(scheduler.IP, strconv.Itoa(scheduler.Port)))
		}
	}
	return addresses, nil
}
