package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type tokenConfig struct {
	Realm      string        `yaml:"realm"`
	Key        string        `yaml:"key"`
	Timeout    time.Duration `yaml:"timeout"`
	MaxRefresh time.Duration `yaml:"maxRefresh"`
}

// The manager refuses other lengths, in every request that carries a name or a password.
const (
	shortestName     = 3
	longestName      = 10
	shortestPassword = 8
	longestPassword  = 20
)

const console = `<!doctype html>
<title>Dragonfly stand-in</title>
<h1>This is a stand-in for Dragonfly's console, not Dragonfly.</h1>
`

type api struct {
	database *database
	tokens   tokenConfig
}

// restAPI serves what scripts and a first installation ask of the manager, with the real one's paths and status codes.
func restAPI(database *database, tokens tokenConfig) http.Handler {
	served := &api{database, tokens}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, console)
	})
	mux.HandleFunc("GET /healthy", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "OK") })
	mux.HandleFunc("POST /api/v1/users/signin", served.signIn)
	mux.HandleFunc("POST /api/v1/users/signup", served.signUp)
	mux.HandleFunc("POST /api/v1/users/{id}/reset_password", served.resetPassword)
	mux.HandleFunc("GET /api/v1/schedulers", served.signedIn(served.list(schedulerKind)))
	mux.HandleFunc("GET /api/v1/seed-peers", served.signedIn(served.list(seedPeerKind)))
	mux.Handle("/", http.RedirectHandler("/", http.StatusMovedPermanently))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &seenStatus{ResponseWriter: w, status: http.StatusOK}
		mux.ServeHTTP(seen, r)
		log.Printf("rest: %s %s: %d", r.Method, r.URL.Path, seen.status)
	})
}

// seenStatus remembers the status for the log.
type seenStatus struct {
	http.ResponseWriter
	status int
}

func (s *seenStatus) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (a *api) signIn(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if json.NewDecoder(r.Body).Decode(&request) != nil || !goodName(request.Name) ||
		!goodPassword(request.Password) {
		refuse(w, http.StatusUnauthorized)
		return
	}
	id, err := a.database.signIn(r.Context(), request.Name, request.Password)
	if err != nil {
		refuse(w, http.StatusUnauthorized)
		return
	}
	now := time.Now()
	expire := now.Add(a.tokens.Timeout)
	claims := jwt.MapClaims{"id": id, "exp": expire.Unix(), "orig_iat": now.Unix()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(a.tokens.Key))
	if err != nil {
		fail(w, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "jwt", Value: token, Path: "/", Expires: expire, HttpOnly: true})
	answer(w, http.StatusOK, map[string]string{"token": token, "expire": expire.Format(time.RFC3339)})
}

func (a *api) signUp(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Name     string `json:"name"`
		Password string `json:"password"`
		Email    string `json:"email"`
	}
	err := json.NewDecoder(r.Body).Decode(&request)
	if err != nil || !goodName(request.Name) || !strings.Contains(request.Email, "@") ||
		!goodPassword(request.Password) {
		refuse(w, http.StatusUnprocessableEntity)
		return
	}
	id, err := a.database.addUser(r.Context(), request.Name, request.Email, request.Password)
	if isDuplicate(err) {
		refuse(w, http.StatusConflict)
		return
	}
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"id": id, "name": request.Name, "email": request.Email})
}

func (a *api) resetPassword(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Old string `json:"old_password"`
		New string `json:"new_password"`
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || json.NewDecoder(r.Body).Decode(&request) != nil ||
		!goodPassword(request.Old) || !goodPassword(request.New) {
		refuse(w, http.StatusUnprocessableEntity)
		return
	}
	err = a.database.resetPassword(r.Context(), id, request.Old, request.New)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, errWrongPassword):
		refuse(w, http.StatusUnauthorized)
	case errors.Is(err, sql.ErrNoRows):
		refuse(w, http.StatusNotFound)
	default:
		fail(w, err)
	}
}

func goodName(name string) bool {
	return len(name) >= shortestName && len(name) <= longestName
}

func goodPassword(password string) bool {
	return len(password) >= shortestPassword && len(password) <= longestPassword
}

func (a *api) list(kind memberKind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
		defer cancel()
		found, err := a.database.members(ctx, kind)
		if err != nil {
			fail(w, err)
			return
		}
		answer(w, http.StatusOK, found)
	}
}

// signedIn lets through whoever shows a token that this manager, or one with the same key, has signed.
func (a *api) signedIn(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if cookie, err := r.Cookie("jwt"); err == nil {
			token = cookie.Value
		}
		key := func(*jwt.Token) (any, error) { return []byte(a.tokens.Key), nil }
		_, err := jwt.Parse(token, key, jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
		if err != nil {
			w.Header().Set("WWW-Authenticate", "JWT realm="+a.tokens.Realm)
			refuse(w, http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func answer(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document)
}

func refuse(w http.ResponseWriter, status int) {
	answer(w, status, map[string]string{"message": http.StatusText(status)})
}

func fail(w http.ResponseWriter, err error) {
	log.Printf("rest: %v", err)
	refuse(w, http.StatusInternalServerError)
}
