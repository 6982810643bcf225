package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The header by which containerd's mirror configuration says which registry it wants.
const registryHeader = "X-Dragonfly-Registry"

// What the real one fetches from other peers (`layerReg` of its transport).
var layer = regexp.MustCompile("^.+/blobs/sha256.*$")

// proxy passes requests on to registries. The real one fetches layers from other peers.
type proxy struct {
	config    *proxyConfig
	transport http.RoundTripper
	// The real one's (Dragonfly 2.1, `client/daemon/metrics`): of all requests, and of those for layers and the others.
	requests       *prometheus.CounterVec
	via, otherwise prometheus.Counter
}

func newProxy(config *proxyConfig) *proxy {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	// What the config says, as the real program does.
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: config.RegistryMirror.Insecure}
	transport.ResponseHeaderTimeout = 30 * time.Second
	// The client checks the digest of the bytes as the registry sent them.
	transport.DisableCompression = true
	return &proxy{
		config:    config,
		transport: transport,
		requests: promauto.NewCounterVec(prometheus.CounterOpts{
			Name: "dragonfly_dfdaemon_proxy_request_total", Help: "Requests to the proxy.",
		}, []string{"method"}),
		via: promauto.NewCounter(prometheus.CounterOpts{
			Name: "dragonfly_dfdaemon_proxy_request_via_dragonfly_total", Help: "Requests for layers.",
		}),
		otherwise: promauto.NewCounter(prometheus.CounterOpts{
			Name: "dragonfly_dfdaemon_proxy_request_not_via_dragonfly_total", Help: "Other requests.",
		}),
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.requests.WithLabelValues(r.Method).Inc()
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
	if p.isFetchedFromPeers(r, mirrored) {
		p.via.Inc()
	} else {
		p.otherwise.Inc()
	}
	forward := &httputil.ReverseProxy{
		Transport: p.transport,
		Rewrite: func(request *httputil.ProxyRequest) {
			request.Out.URL.Scheme, request.Out.URL.Host = target.Scheme, target.Host
			request.Out.Host = target.Host
			request.Out.Header.Del(registryHeader)
		},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
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

// isFetchedFromPeers tells of a mirror request, or of one that is to be forwarded, what the real one does with it.
func (p *proxy) isFetchedFromPeers(r *http.Request, mirrored bool) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if mirrored {
		return !p.config.RegistryMirror.Direct && layer.MatchString(r.URL.Path)
	}
	for _, rule := range p.config.Proxies {
		if rule.Regx.MatchString(r.URL.String()) {
			return true
		}
	}
	return false
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
	log.Printf("proxy: %s %s host=%s: refused with %d", r.Method, r.URL.Path, host, status)
	http.Error(w, http.StatusText(status), status)
}

// connect hands bytes to and fro, unread.
func (p *proxy) connect(w http.ResponseWriter, r *http.Request) {
	p.otherwise.Inc()
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
