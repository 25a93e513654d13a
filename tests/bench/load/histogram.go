package main

import (
	"math"
	"math/bits"
	"time"
)

// Buckets per doubling: a quantile is off by less than 1 %.
const subBuckets = 128

// Histogram of durations in the manner of HdrHistogram: log-linear buckets of nanoseconds, exact count, sum and maximum.
type Histogram struct {
	counts [48 * subBuckets]uint32
	count  uint64
	sum    float64
	max    time.Duration
}

func bucketOf(duration time.Duration) int {
	value := uint64(max(duration, 0))
	if value < subBuckets {
		return int(value)
	}
	shift := bits.Len64(value) - 8 // the leading bit and seven below it stay
	return (shift+1)*subBuckets + int(value>>shift) - subBuckets
}

// lowest is the smallest duration of a bucket, the inverse of bucketOf.
func lowest(bucket int) float64 {
	if bucket < subBuckets {
		return float64(bucket)
	}
	shift := bucket/subBuckets - 1
	return math.Ldexp(float64(bucket%subBuckets+subBuckets), shift)
}

func (h *Histogram) observe(duration time.Duration) {
	h.counts[min(bucketOf(duration), len(h.counts)-1)]++
	h.count++
	h.sum += float64(duration)
	h.max = max(h.max, duration)
}

func (h *Histogram) add(other *Histogram) {
	for bucket, count := range other.counts {
		h.counts[bucket] += count
	}
	h.count += other.count
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

// quantile in milliseconds: the middle of the bucket in which the share's last observation lies. 0 if there is none.
func (h *Histogram) quantile(share float64) float64 {
	rank := uint64(math.Ceil(share * float64(h.count)))
	var seen uint64
	for bucket, count := range h.counts {
		seen += uint64(count)
		if seen >= rank && seen > 0 {
			return (lowest(bucket) + lowest(bucket+1)) / 2 / 1e6
		}
	}
	return 0
}

// Latency in milliseconds.
type Latency struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func (h *Histogram) latency() Latency {
	if h.count == 0 {
		return Latency{}
	}
	return Latency{
		Count: h.count, Mean: h.sum / float64(h.count) / 1e6, P50: h.quantile(0.5), P90: h.quantile(0.9),
		P99: h.quantile(0.99), P999: h.quantile(0.999), Max: float64(h.max) / 1e6,
	}
}
