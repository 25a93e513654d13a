package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// rawCodec passes messages through: requests lie in the file as bytes, answers are read field by field.
type rawCodec struct{}

func (rawCodec) Name() string                        { return "proto" }
func (rawCodec) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append((*message.(*[]byte))[:0], data...)
	return nil
}

// callers are InFlight goroutines over Connections channels. One lock: Go's gRPC costs far more than it.
type callers struct {
	settings Settings
	asked    []Asked
	report   *Report
	lock     sync.Mutex
	next     atomic.Int64
	start    time.Time
	end      time.Time
	begun    bool
}

func loadGRPC(decoder *json.Decoder) error {
	settings, asked, err := readSettings(decoder)
	if err != nil {
		return err
	}
	if settings.Rate != 0 {
		return fmt.Errorf("rate is %g; gRPC is loaded in a closed loop only", settings.Rate)
	}
	settings.InFlight = max(settings.InFlight, settings.Connections)
	c := &callers{settings: settings, asked: asked, report: newReport(settings)}
	channels := make([]*grpc.ClientConn, settings.Connections)
	for index := range channels {
		channels[index], err = grpc.NewClient("passthrough:///"+settings.Address,
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
		if err != nil {
			return err
		}
		defer channels[index].Close()
	}
	c.start = time.Now().Add(time.Duration(settings.Warmup * float64(time.Second)))
	c.end = c.start.Add(time.Duration(settings.Seconds * float64(time.Second)))
	answers := make([]uint64, settings.InFlight)
	var all sync.WaitGroup
	for index := range settings.InFlight {
		checker, err := newChecker(settings)
		if err != nil {
			return err
		}
		all.Go(func() { answers[index] = c.caller(channels[index%len(channels)], checker) })
	}
	all.Wait()
	return c.report.finish(answers, settings)
}

// caller asks until the end and returns how many answers it got.
func (c *callers) caller(channel *grpc.ClientConn, checker *Checker) (answers uint64) {
	var answer []byte
	for {
		asked := &c.asked[int(c.next.Add(bodiesStride))%len(c.asked)]
		sent := time.Now()
		if !sent.Before(c.end) {
			return answers
		}
		limit, cancel := context.WithTimeout(context.Background(), time.Duration(c.settings.Timeout*float64(time.Second)))
		err := channel.Invoke(limit, c.settings.Path, &asked.Body, &answer)
		cancel()
		if c.count(asked, answer, err, checker, sent, time.Now()) {
			answers++
		}
		if err != nil {
			time.Sleep(reconnectPause) // a server that refuses at once must not be asked in a spin
		}
	}
}

func (c *callers) count(asked *Asked, answer []byte, err error, checker *Checker, sent, done time.Time) bool {
	var version []byte
	var wrong, kind string
	checked := false
	if err != nil {
		kind, wrong = "status "+status.Code(err).String(), err.Error()
	} else if checker.form != "" {
		if version, err = versionOf(answer); err != nil {
			kind, wrong = "wrong answer", err.Error()
		} else {
			kind = "wrong answer"
			wrong, checked = checker.wrong(asked, &Answer{version: version, body: answer})
		}
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	if !c.begun && !done.Before(c.start) {
		c.begun = true
		c.report.begin(done)
	}
	if sent.Before(c.start) {
		if !c.begun {
			c.report.Count++ // of the warm-up
		}
		return false
	}
	if checked {
		c.report.Checked++
	}
	if wrong != "" {
		c.report.fail(kind, wrong, sent, sent, done)
		return false
	}
	c.report.answered(c.report.group(version, nil), sent, sent, done)
	return true
}
