//! The operating system, where no crate offers a safe call: the only `unsafe` code of the library.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, ExitStatus};

/// Asks Linux to send the child SIGQUIT (PostgreSQL's immediate shutdown) when this process ends, however it ends. Does
/// nothing on other systems.
#[cfg(target_os = "linux")]
pub fn quit_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed; prctl is one.
    // std runs it after the change of user, which would have cleared the setting.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT) == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
pub fn quit_with_parent(_: &mut Command) {}

/// What a process that ended has used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Seconds of processor time.
    pub cpu: f64,
    /// Bytes of memory at its peak.
    pub peak: u64,
}

/// Waits for a child as wait4(2) does: how it ended, and what it used. std does not return the usage.
///
/// # Errors
/// Somebody else has waited for it.
pub fn wait_with_usage(child: &Child) -> io::Result<(ExitStatus, Usage)> {
    use std::os::unix::process::ExitStatusExt;
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid value of this plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    if waited != pid {
        return Err(io::Error::last_os_error());
    }
    // Seconds and microseconds of a process that ended within our life.
    #[allow(clippy::cast_precision_loss)]
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    // Linux counts KiB, macOS bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let usage = Usage {
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak: u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit,
    };
    Ok((ExitStatus::from_raw(status), usage))
}

/// A socket is readable only from this many bytes on (SO_RCVLOWAT).
///
/// # Errors
/// The system refuses it.
pub fn set_receive_low_water(socket: &impl AsFd, bytes: i32) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: the descriptor is open while `socket` lives, and the pointer is to an int of the size given.
    let code = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            size,
        )
    };
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Bytes of memory of this machine.
pub fn memory() -> Option<u64> {
    // SAFETY: sysconf takes a plain number and has no preconditions.
    let (pages, size) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    u64::try_from(pages)
        .ok()?
        .checked_mul(u64::try_from(size).ok()?)
        .filter(|bytes| *bytes > 0)
}
