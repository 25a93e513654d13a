package main

import (
	"net/netip"
	"syscall"
	"time"
	"unsafe"
)

// What package syscall lacks. epoll_pwait2 takes nanoseconds, so an intended time is met without spinning.
const (
	sysEpollPwait2   = 441
	clockMonotonic   = 1
	prSetTimerSlack  = 29
	timerSlackNanos  = 1
	maxEventsPerTurn = 256
)

func epollWait(epoll int, events []syscall.EpollEvent, wait time.Duration) (int, error) {
	timeout := syscall.NsecToTimespec(max(wait, 0).Nanoseconds())
	count, _, errno := syscall.Syscall6(sysEpollPwait2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno != 0 && errno != syscall.EINTR {
		return 0, errno
	}
	if errno == syscall.EINTR {
		return 0, nil
	}
	return int(count), nil
}

// monotonic is CLOCK_MONOTONIC in seconds: what Python's time.monotonic() says at the same moment.
func monotonic() float64 {
	var now syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	return float64(now.Sec) + float64(now.Nsec)/1e9
}

// preciseTimers: by default the kernel may wake a sleeper 50 microseconds late.
func preciseTimers() {
	syscall.Syscall(syscall.SYS_PRCTL, prSetTimerSlack, timerSlackNanos, 0)
}

func socketAddress(text string) (syscall.Sockaddr, error) {
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil, err
	}
	return &syscall.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}, nil
}

// dial opens a connection and makes it non-blocking only afterwards: connecting over loopback does not wait.
func dial(address syscall.Sockaddr) (int, error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = syscall.Connect(socket, address); err == nil {
		err = syscall.SetsockoptInt(socket, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if err == nil {
		err = syscall.SetNonblock(socket, true)
	}
	if err != nil {
		syscall.Close(socket)
		return -1, err
	}
	return socket, nil
}
