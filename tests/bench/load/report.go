package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"syscall"
	"time"
)

const maxExamples = 5

// Record of one request in the log file, little-endian. Times are CLOCK_MONOTONIC seconds.
type Record struct {
	Intended, Sent, Done float64
	Group                uint32 // index into Report.Groups
	Failed               uint32 // 1: it did
}

// Report is the result of a run, as JSON on standard output. The warm-up is in none of its numbers but Warmup.
type Report struct {
	Count       uint64             `json:"count"`  // answered as expected
	Failed      uint64             `json:"failed"` // all others
	Errors      map[string]uint64  `json:"errors"` // failed by kind
	Examples    []string           `json:"examples"`
	Checked     uint64             `json:"checked"` // answers whose numbers were compared
	Warmup      uint64             `json:"warmup"`  // answers before the count began
	Wall        float64            `json:"wall"`
	CPU         float64            `json:"cpu"` // seconds of this program's own
	Rate        float64            `json:"rate"`
	Behind      uint64             `json:"behind"` // open loop: requests whose time had come and that were never sent
	BytesIn     uint64             `json:"bytes_in"`
	BytesOut    uint64             `json:"bytes_out"`
	Latency     Latency            `json:"latency"` // from the intended time; in a closed loop from when it was sent
	Groups      []string           `json:"groups"`  // version, and ":<fallback>" if the champion answered in another's place
	ByGroup     map[string]Latency `json:"by_group"`
	Connections PerConnection      `json:"connections"`
	Reconnects  uint64             `json:"reconnects"`

	histograms []*Histogram
	failures   []*Histogram
	indices    map[string]uint32
	log        []Record
	logging    bool
	started    time.Time
	cpuBefore  float64
	epoch      float64
}

// PerConnection says how evenly the server served: answers per connection.
type PerConnection struct {
	Min    uint64  `json:"min"`
	Median float64 `json:"median"`
	Max    uint64  `json:"max"`
}

func newReport(settings Settings) *Report {
	return &Report{Errors: map[string]uint64{}, Examples: []string{}, indices: map[string]uint32{}, logging: settings.Log != ""}
}

// begin forgets the warm-up and starts the clocks.
func (r *Report) begin(now time.Time) {
	warm := r.Count
	logging := r.logging
	*r = Report{Errors: map[string]uint64{}, Examples: []string{}, indices: map[string]uint32{}, logging: logging}
	r.Warmup, r.started, r.cpuBefore, r.epoch = warm, now, ownCPU(), monotonic()
}

// group is the index of the group that a version and a fallback make.
func (r *Report) group(version, fallback []byte) uint32 {
	if len(fallback) == 0 {
		if index, known := r.indices[string(version)]; known { // no allocation on this way
			return index
		}
	}
	name := string(version)
	if len(fallback) > 0 {
		name += ":" + string(fallback)
	}
	index, known := r.indices[name]
	if !known {
		index = uint32(len(r.Groups))
		r.indices[name] = index
		r.Groups = append(r.Groups, name)
		r.histograms = append(r.histograms, &Histogram{})
	}
	return index
}

func (r *Report) answered(group uint32, intended, sent, done time.Time) {
	r.Count++
	r.histograms[group].observe(done.Sub(intended))
	r.record(group, intended, sent, done, 0)
}

func (r *Report) fail(kind, example string, intended, sent, done time.Time) {
	r.Failed++
	r.Errors[kind]++
	if len(r.Examples) < maxExamples {
		r.Examples = append(r.Examples, kind+": "+example[:min(len(example), 400)])
	}
	r.record(r.group([]byte("failed"), nil), intended, sent, done, 1)
}

func (r *Report) record(group uint32, intended, sent, done time.Time, failed uint32) {
	if r.logging {
		at := func(moment time.Time) float64 { return r.epoch + moment.Sub(r.started).Seconds() }
		r.log = append(r.log, Record{at(intended), at(sent), at(done), group, failed})
	}
}

func (r *Report) finish(perConnection []uint64, settings Settings) error {
	r.Wall = time.Since(r.started).Seconds()
	r.CPU = ownCPU() - r.cpuBefore
	r.Rate = float64(r.Count) / r.Wall
	r.ByGroup = map[string]Latency{}
	var all Histogram
	for index, name := range r.Groups {
		r.ByGroup[name] = r.histograms[index].latency()
		all.add(r.histograms[index])
	}
	r.Latency = all.latency()
	slices.Sort(perConnection)
	if n := len(perConnection); n > 0 {
		median := float64(perConnection[n/2]+perConnection[(n-1)/2]) / 2
		r.Connections = PerConnection{Min: perConnection[0], Median: median, Max: perConnection[n-1]}
	}
	if err := r.writeLog(settings.Log); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func (r *Report) writeLog(path string) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	scratch := make([]byte, 0, 32)
	for _, record := range r.log {
		scratch = scratch[:0]
		for _, moment := range []float64{record.Intended, record.Sent, record.Done} {
			scratch = binary.LittleEndian.AppendUint64(scratch, math.Float64bits(moment))
		}
		scratch = binary.LittleEndian.AppendUint32(scratch, record.Group)
		scratch = binary.LittleEndian.AppendUint32(scratch, record.Failed)
		if _, err := buffered.Write(scratch); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Close()
}

func ownCPU() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
