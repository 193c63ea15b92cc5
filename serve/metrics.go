package serve

import (
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are for Prometheus.
type metrics struct {
	registry                        *prometheus.Registry
	requests                        *prometheus.CounterVec
	seconds                         *prometheus.HistogramVec
	promptTokens, cached, generated prometheus.Counter
	firstToken, nextToken           prometheus.Histogram
	handler                         http.Handler
}

func newMetrics(s *Server) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "bitgpu_" + name, Help: help})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bitgpu_requests_total", Help: "Requests that have ended, by path and status."}, []string{"path", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "bitgpu_request_duration_seconds", Help: "From the head of a request to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10)}, []string{"path"}),
		promptTokens: counter("prompt_tokens_total", "Tokens of prompts, those that were not read anew among them."),
		cached:       counter("prompt_tokens_cached_total", "Tokens of prompts that were not read anew."),
		generated:    counter("generated_tokens_total", "Tokens written."),
		firstToken: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "bitgpu_time_to_first_token_seconds", Help: "From the head of a request to its first text.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}),
		nextToken: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "bitgpu_time_between_tokens_seconds", Help: "Between two pieces of a text.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "bitgpu_" + name, Help: help}, value)
	}
	// These are counters because a batch is over before anybody looks: tokens divided by passes is the mean size.
	count := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "bitgpu_" + name, Help: help}, value)
	}
	m.registry.MustRegister(m.requests, m.seconds, m.promptTokens, m.cached, m.generated, m.firstToken, m.nextToken,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("slots", "Requests that can be at work at once.", func() float64 { return float64(s.o.Parallel) }),
		gauge("slots_busy", "Requests at work.", func() float64 { busy, _ := s.gate.counts(); return float64(busy) }),
		gauge("queue_waiting", "Requests that wait for a slot.", func() float64 { _, waiting := s.gate.counts(); return float64(waiting) }),
		count("batches_total", "Passes over the weights that have read drawn tokens of all texts together.", func() float64 { n, _ := s.model.Batches(); return float64(n) }),
		count("batched_tokens_total", "Tokens that these have read.", func() float64 { _, n := s.model.Batches(); return float64(n) }),
		gauge("memories", "Memories kept.", func() float64 { n, _ := s.store.totals(); return float64(n) }),
		gauge("memories_bytes", "Bytes of the files of all memories.", func() float64 { _, bytes := s.store.totals(); return float64(bytes) }),
		gauge("memories_limit_bytes", "What the bytes of all memories stay below.", func() float64 { return float64(s.o.MemoryLimit) }),
		gauge("cached_prefixes", "Beginnings of prompts that are kept in RAM.", func() float64 { n, _ := s.prefixes.totals(); return float64(n) }),
		gauge("cached_prefixes_bytes", "Bytes of RAM that they take.", func() float64 { _, bytes := s.prefixes.totals(); return float64(bytes) }),
	)
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
	return m
}

func (s *Server) showMetrics(c *call) error {
	s.metrics.handler.ServeHTTP(c.w, c.r)
	return nil
}

// piece counts a piece of a text, after the time since the previous one or, for the first, since the request began.
func (m *metrics) piece(after time.Duration, first bool) {
	if first {
		m.firstToken.Observe(after.Seconds())
	} else {
		m.nextToken.Observe(after.Seconds())
	}
}

// account counts and logs a request that has ended.
func (s *Server) account(c *call, route string, start time.Time, err error, told *apiError) {
	took := time.Since(start)
	status := c.w.status
	if told != nil && told.status == 499 {
		status = told.status
	}
	s.metrics.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	s.metrics.seconds.WithLabelValues(route).Observe(took.Seconds())
	s.metrics.promptTokens.Add(float64(c.usage.prompt))
	s.metrics.cached.Add(float64(c.usage.cached))
	s.metrics.generated.Add(float64(c.usage.written))
	fields := []any{"request", c.id, "method", c.r.Method, "path", c.r.URL.Path, "status", status, "ms", took.Milliseconds(), "owner", c.owner}
	if c.usage != (usage{}) {
		fields = append(fields, "prompt_tokens", c.usage.prompt, "cached_tokens", c.usage.cached, "tokens", c.usage.written)
	}
	switch {
	case told != nil && told.status >= 500 && told.status != http.StatusServiceUnavailable:
		s.o.Log.Error("request", append(fields, "error", err.Error())...)
	case told != nil:
		s.o.Log.Info("request", append(fields, "error", told.message)...)
	default:
		s.o.Log.Info("request", fields...)
	}
}

func stack() string { return string(debug.Stack()) }
