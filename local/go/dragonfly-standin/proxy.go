package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync/atomic"
	"time"
)

// The header by which containerd's mirror configuration says which registry it wants.
const registryHeader = "X-Dragonfly-Registry"

// proxy passes requests on to registries. The real one fetches blobs from other peers.
type proxy struct {
	config    *proxyConfig
	transport http.RoundTripper
	requests  atomic.Int64
	failures  atomic.Int64
}

func newProxy(config *proxyConfig) *proxy {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	// What the config says, as the real program does.
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: config.RegistryMirror.Insecure}
	transport.ResponseHeaderTimeout = 30 * time.Second
	// The client checks the digest of the bytes as the registry sent them.
	transport.DisableCompression = true
	return &proxy{config: config, transport: transport}
}

func (p *proxy) counters() map[string]int64 {
	return map[string]int64{
		"dragonfly_dfdaemon_proxy_request_total":         p.requests.Load(),
		"dragonfly_dfdaemon_proxy_request_failure_total": p.failures.Load(),
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.requests.Add(1)
	target := r.URL
	mirrored := r.Method != http.MethodConnect && target.Host == ""
	if mirrored {
		found, err := p.registry(r)
		if err != nil {
			p.refuse(w, r, "", http.StatusBadRequest)
			return
		}
		target = found
	} else if !p.allows(r) {
		p.refuse(w, r, r.Host, http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodConnect {
		p.connect(w, r)
		return
	}
	log.Printf("proxy: %s %s registry=%s", r.Method, r.URL.Path, origin(target))
	forward := &httputil.ReverseProxy{
		Transport: p.transport,
		Rewrite: func(request *httputil.ProxyRequest) {
			request.Out.URL.Scheme, request.Out.URL.Host = target.Scheme, target.Host
			request.Out.Host = target.Host
			request.Out.Header.Del(registryHeader)
		},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.failures.Add(1)
			log.Printf("proxy: %s %s registry=%s: %v", r.Method, r.URL.Path, origin(target), err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	forward.ServeHTTP(w, r)
}

// registry is where a mirror request goes.
func (p *proxy) registry(r *http.Request) (*url.URL, error) {
	mirror := p.config.RegistryMirror
	text := mirror.URL
	if header := r.Header.Get(registryHeader); mirror.Dynamic && header != "" {
		text = header
	}
	if !isURL(text) {
		return nil, &url.Error{Op: "registry", URL: text, Err: http.ErrNotSupported}
	}
	return url.Parse(text)
}

// allows looks a request that is to be forwarded up in the white list; an empty one allows everything.
func (p *proxy) allows(r *http.Request) bool {
	if len(p.config.WhiteList) == 0 {
		return true
	}
	host := r.URL.Hostname()
	return slices.ContainsFunc(p.config.WhiteList, func(allowed allowedHost) bool {
		return allowed.Host.MatchString(host) &&
			(len(allowed.Ports) == 0 || slices.Contains(allowed.Ports, r.URL.Port()))
	})
}

func (p *proxy) refuse(w http.ResponseWriter, r *http.Request, host string, status int) {
	p.failures.Add(1)
	log.Printf("proxy: %s %s host=%s: refused with %d", r.Method, r.URL.Path, host, status)
	http.Error(w, http.StatusText(status), status)
}

// connect hands bytes to and fro, unread.
func (p *proxy) connect(w http.ResponseWriter, r *http.Request) {
	log.Printf("proxy: CONNECT %s", r.Host)
	far, err := net.DialTimeout("tcp", r.Host, callTimeout)
	if err != nil {
		p.refuse(w, r, r.Host, http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.refuse(w, r, r.Host, http.StatusInternalServerError)
		return
	}
	defer near.Close()
	_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	finished := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			finished <- struct{}{}
		}()
	}
	<-finished
}

func origin(target *url.URL) string {
	return target.Scheme + "://" + target.Host
}
