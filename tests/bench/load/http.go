package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// After the end what is in flight is waited for, so that nothing that was asked is left out of the count.
const (
	afterEnd        = 5 * time.Second
	reconnectPause  = 20 * time.Millisecond
	bodiesStride    = 7919 // prime: neighbours on the wire ask different things
	timeoutInterval = 100 * time.Millisecond
)

type connection struct {
	socket   int // -1: not connected
	busy     bool
	counted  bool // the request under way began after the warm-up
	asked    int
	unsent   []byte
	received []byte
	intended time.Time
	sent     time.Time
	retryAt  time.Time
	answers  uint64
}

// clients is one thread that drives all connections by epoll, as wrk does: a goroutine each costs twice as much.
type clients struct {
	settings Settings
	asked    []Asked
	requests [][]byte
	address  syscall.Sockaddr
	epoll    int
	all      []connection
	idle     []int
	checker  *Checker
	report   *Report
	response Response

	next     int
	begun    bool
	start    time.Time // of the count
	end      time.Time
	interval time.Duration
	issued   int64 // open loop: since opened
	opened   time.Time
}

func loadHTTP(decoder *json.Decoder) error {
	settings, asked, err := readSettings(decoder)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	debug.SetGCPercent(1000)
	preciseTimers()
	c := &clients{settings: settings, asked: asked, report: newReport(settings)}
	if err = c.open(); err == nil {
		err = c.run()
	}
	if err != nil {
		return err
	}
	perConnection := make([]uint64, len(c.all))
	for index := range c.all {
		perConnection[index] = c.all[index].answers
	}
	return c.report.finish(perConnection, settings)
}

func (c *clients) open() (err error) {
	if c.checker, err = newChecker(c.settings); err != nil {
		return err
	}
	if c.address, err = socketAddress(c.settings.Address); err != nil {
		return err
	}
	for _, one := range c.asked {
		c.requests = append(c.requests, requestBytes(c.settings, one))
	}
	if c.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return err
	}
	c.all = make([]connection, c.settings.Connections)
	for index := range c.all {
		c.all[index] = connection{socket: -1, received: make([]byte, 0, 64<<10)}
		if err := c.connect(index); err != nil {
			return fmt.Errorf("connecting to %s: %w", c.settings.Address, err)
		}
	}
	return nil
}

func requestBytes(settings Settings, asked Asked) []byte {
	lines := append([]string{
		"POST " + settings.Path + " HTTP/1.1", "host: " + settings.Address, fmt.Sprintf("content-length: %d", len(asked.Body)),
	}, append(append([]string{}, settings.Headers...), asked.Headers...)...)
	if !strings.Contains(strings.ToLower(strings.Join(lines, "\n")), "content-type:") {
		lines = append(lines, "content-type: application/json")
	}
	return append([]byte(strings.Join(lines, "\r\n")+"\r\n\r\n"), asked.Body...)
}

func (c *clients) connect(index int) error {
	socket, err := dial(c.address)
	if err != nil {
		return err
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(index)}
	if err := syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_ADD, socket, &event); err != nil {
		return err
	}
	one := &c.all[index]
	one.socket, one.busy, one.received, one.unsent = socket, false, one.received[:0], nil
	c.idle = append(c.idle, index)
	return nil
}

func (c *clients) run() error {
	now := time.Now()
	c.opened = now
	c.start = now.Add(time.Duration(c.settings.Warmup * float64(time.Second)))
	c.end = c.start.Add(time.Duration(c.settings.Seconds * float64(time.Second)))
	if c.settings.Rate > 0 {
		c.interval = time.Duration(float64(time.Second) / c.settings.Rate)
	}
	events := make([]syscall.EpollEvent, maxEventsPerTurn)
	lookAgain := now.Add(timeoutInterval)
	for !c.over(now) {
		c.issue(now)
		if now.After(lookAgain) {
			c.lookAfter(now)
			lookAgain = now.Add(timeoutInterval)
		}
		ready, err := epollWait(c.epoll, events, c.pause())
		if err != nil {
			return err
		}
		for _, event := range events[:ready] {
			c.turn(int(event.Fd), event.Events)
		}
		if now = time.Now(); !c.begun && !now.Before(c.start) {
			c.begin(now)
		}
	}
	c.endOfRun(now)
	return nil
}

// begin ends the warm-up.
func (c *clients) begin(now time.Time) {
	c.begun = true
	c.report.begin(now)
	for index := range c.all {
		c.all[index].answers = 0
	}
}

func (c *clients) over(now time.Time) bool {
	return !now.Before(c.end) && (c.inFlight() == 0 || now.After(c.end.Add(afterEnd)))
}

// issue sends what is due, as far as there are idle connections.
func (c *clients) issue(now time.Time) {
	if !now.Before(c.end) { // what is late by then counts as behind
		return
	}
	for len(c.idle) > 0 {
		intended := now
		if c.interval > 0 {
			if intended = c.opened.Add(time.Duration(c.issued) * c.interval); intended.After(now) || !intended.Before(c.end) {
				return
			}
		}
		index := c.idle[0]
		c.idle = c.idle[1:]
		c.issued++
		c.send(index, intended)
	}
}

// pause is how long nothing needs to be sent.
func (c *clients) pause() time.Duration {
	wait := timeoutInterval
	if due := c.opened.Add(time.Duration(c.issued) * c.interval); c.interval > 0 && len(c.idle) > 0 && due.Before(c.end) {
		wait = min(wait, time.Until(due))
	}
	if !c.begun {
		wait = min(wait, time.Until(c.start))
	}
	return wait
}

func (c *clients) inFlight() int {
	count := 0
	for index := range c.all {
		if c.all[index].busy {
			count++
		}
	}
	return count
}

func (c *clients) send(index int, intended time.Time) {
	one := &c.all[index]
	one.asked = c.next % len(c.asked)
	c.next = (c.next + bodiesStride) % len(c.asked)
	one.busy, one.intended, one.sent, one.counted = true, intended, time.Now(), !intended.Before(c.start)
	if c.interval == 0 {
		one.intended = one.sent
	}
	one.unsent = c.requests[one.asked]
	c.write(index)
}

func (c *clients) write(index int) {
	one := &c.all[index]
	waited := len(one.unsent) != len(c.requests[one.asked])
	for len(one.unsent) > 0 {
		count, err := syscall.Write(one.socket, one.unsent)
		if err == syscall.EAGAIN {
			break
		}
		if err != nil {
			c.lost(index, "not sent", err.Error())
			return
		}
		one.unsent = one.unsent[count:]
		if c.begun {
			c.report.BytesOut += uint64(count)
		}
	}
	if len(one.unsent) > 0 || waited {
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(index)}
		if len(one.unsent) > 0 {
			event.Events |= syscall.EPOLLOUT
		}
		_ = syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_MOD, one.socket, &event)
	}
}

func (c *clients) endOfRun(now time.Time) {
	for index := range c.all {
		if one := &c.all[index]; one.busy && one.counted {
			c.report.fail("no answer at the end", "", one.intended, one.sent, now)
		}
		if c.all[index].socket >= 0 {
			syscall.Close(c.all[index].socket)
		}
	}
	if c.interval > 0 {
		due := int64(c.end.Sub(c.opened) / c.interval)
		c.report.Behind = uint64(max(due-c.issued, 0))
	}
}
