//! The system calls this program needs, each behind a safe function.
//!
//! Declared by hand so that the program has no dependency; Linux with a 64-bit C library only.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_short, c_uint, c_ulong, c_void};
use std::fs::File;
use std::io::{self, Error, Read as _};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

pub(crate) const SIGINT: c_int = 2;
pub(crate) const SIGQUIT: c_int = 3;
pub(crate) const SIGKILL: c_int = 9;
pub(crate) const SIGUSR1: c_int = 10;
/// The last of the signals with fixed meanings; the C library keeps those after it to itself.
const LAST_SIGNAL: c_int = 31;
const SIGPIPE: c_int = 13;
pub(crate) const SIGTERM: c_int = 15;
pub(crate) const SIGCHLD: c_int = 17;
pub(crate) const SIGWINCH: c_int = 28;

pub(crate) const ENOENT: i32 = 2;
pub(crate) const ENOEXEC: i32 = 8;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENOTDIR: i32 = 20;

pub(crate) const CLONE_NEWNS: c_int = 0x0002_0000;
pub(crate) const CLONE_NEWUSER: c_int = 0x1000_0000;

pub(crate) const MS_BIND: c_ulong = 0x1000;
pub(crate) const MS_MOVE: c_ulong = 0x2000;
pub(crate) const MS_REC: c_ulong = 0x4000;
pub(crate) const MS_PRIVATE: c_ulong = 1 << 18;
pub(crate) const MS_SLAVE: c_ulong = 1 << 19;

const AT_FDCWD: c_int = -100;
const AT_EMPTY_PATH: c_uint = 0x1000;
const AT_RECURSIVE: c_uint = 0x8000;
const OPEN_TREE_CLONE: c_uint = 1;
const O_CLOEXEC: c_int = 0o2_000_000;
const MOVE_MOUNT_F_EMPTY_PATH: c_uint = 4;
const MOUNT_ATTR_RDONLY: u64 = 1;
const MNT_DETACH: c_int = 2;
const PR_SET_PDEATHSIG: c_int = 1;
const PR_SET_CHILD_SUBREAPER: c_int = 36;
const LOCK_EX: c_int = 2;
const LOCK_NB: c_int = 4;
const WNOHANG: c_int = 1;
const O_NONBLOCK: c_int = 0o4000;
const PR_SET_DUMPABLE: c_int = 4;
const PR_CAPBSET_DROP: c_int = 24;
const PR_SET_NO_NEW_PRIVS: c_int = 38;
/// More capabilities than this no kernel has.
const LAST_CAPABILITY: u32 = 63;
const TIOCSCTTY: c_ulong = 0x540e;
const TIOCGWINSZ: c_ulong = 0x5413;
const TCGETS: c_ulong = 0x5401;
const TCSETS: c_ulong = 0x5402;
/// Bits of a terminal's modes: output is changed on its way, eight bits are a character.
const OPOST: c_uint = 1;
const CS8: c_uint = 0o60;
const IN_CREATE: c_uint = 0x100;
const IN_MOVED_TO: c_uint = 0x80;
const POLLIN: c_short = 1;
const FIONREAD: c_ulong = 0x541b;
const FOR_EVER: c_int = -1;
/// The origin of signals that the kernel sends, such as those of keys of a terminal.
const SI_KERNEL: c_int = 0x80;
/// Size of the kernel's `signalfd_siginfo`.
const SIGNAL_INFO: usize = 128;
const SIG_BLOCK: c_int = 0;
const SIG_SETMASK: c_int = 2;

#[cfg(target_arch = "x86_64")]
const SYS_PIVOT_ROOT: c_long = 155;
#[cfg(target_arch = "aarch64")]
const SYS_PIVOT_ROOT: c_long = 41;
// These three have one number on every architecture.
const SYS_OPEN_TREE: c_long = 428;
const SYS_MOVE_MOUNT: c_long = 429;
const SYS_MOUNT_SETATTR: c_long = 442;

/// A set of signals as the C library lays it out: 1,024 bits.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SignalSet([u64; 16]);

impl SignalSet {
    /// The set of these signals.
    pub(crate) fn of(signals: &[c_int]) -> Self {
        let mut bits = [0; 16];
        for signal in signals {
            bits[0] |= 1_u64 << (signal - 1);
        }
        Self(bits)
    }

    /// Those that somebody may send to a program: neither the ones that can't be caught, nor those
    /// that tell a process of its own faults, nor those that the C library keeps to itself.
    pub(crate) fn forwarded() -> Self {
        let own = [4, 5, 6, 7, 8, SIGKILL, 11, SIGPIPE, 19, 31, 32, 33];
        let sent = (1..=64).filter(|number| !own.contains(number));
        Self::of(&sent.collect::<Vec<_>>())
    }
}

#[repr(C)]
struct PollEntry {
    fd: c_int,
    events: c_short,
    found: c_short,
}

/// The modes of a terminal as the kernel lays them out.
#[repr(C)]
#[derive(Default)]
struct TerminalModes {
    input: c_uint,
    output: c_uint,
    control: c_uint,
    local: c_uint,
    line: u8,
    characters: [u8; 19],
}

#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: i64,
}

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

unsafe extern "C" {
    fn fork() -> c_int;
    fn _exit(code: c_int) -> !;
    fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char)
    -> c_int;
    #[link_name = "setsid"]
    fn c_setsid() -> c_int;
    fn prctl(option: c_int, argument: c_ulong, ...) -> c_int;
    #[link_name = "unshare"]
    fn c_unshare(flags: c_int) -> c_int;
    fn setns(fd: c_int, kind: c_int) -> c_int;
    #[link_name = "mount"]
    fn c_mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn umount2(target: *const c_char, flags: c_int) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    #[link_name = "kill"]
    fn c_kill(pid: c_int, signal: c_int) -> c_int;
    fn flock(fd: c_int, operation: c_int) -> c_int;
    fn pipe2(fds: *mut c_int, flags: c_int) -> c_int;
    fn dup2(old: c_int, new: c_int) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn sigtimedwait(set: *const SignalSet, info: *mut c_void, timeout: *const TimeSpec) -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
    fn signalfd(fd: c_int, set: *const SignalSet, flags: c_int) -> c_int;
    fn inotify_init1(flags: c_int) -> c_int;
    fn inotify_add_watch(fd: c_int, path: *const c_char, mask: c_uint) -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn poll(entries: *mut PollEntry, count: c_ulong, timeout: c_int) -> c_int;
    fn setgroups(count: usize, groups: *const c_uint) -> c_int;
    fn setgid(gid: c_uint) -> c_int;
    fn setuid(uid: c_uint) -> c_int;
    #[link_name = "getuid"]
    fn c_getuid() -> c_uint;
    #[link_name = "getgid"]
    fn c_getgid() -> c_uint;
    #[link_name = "getpid"]
    fn c_getpid() -> c_int;
    #[link_name = "getppid"]
    fn c_getppid() -> c_int;
}

/// Turns the C convention (negative is failure, reason in `errno`) into a result.
fn check(code: c_int) -> io::Result<c_int> {
    if code < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(code)
    }
}

/// The same for the result of `syscall`.
fn check_long(code: c_long) -> io::Result<c_long> {
    if code < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(code)
    }
}

/// A path as the kernel takes it.
///
/// # Errors
/// The path holds a NUL byte.
pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// What `fork` returned.
pub(crate) enum Fork {
    /// This is the new process.
    Child,
    /// This is the process that forked; the number is the child's id.
    Parent(c_int),
}

/// Forks. The program has one thread, so the child may do anything.
pub(crate) fn fork_process() -> io::Result<Fork> {
    // SAFETY: no other thread exists that could hold a lock in the child.
    match check(unsafe { fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Ends the process without running anything else.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: `_exit` takes any number and never returns.
    unsafe { _exit(code) }
}

/// Replaces the program; returns only the reason why that failed.
pub(crate) fn exec(path: &CStr, arguments: &[CString], environment: &[CString]) -> Error {
    let pointers = |texts: &[CString]| -> Vec<*const c_char> {
        texts
            .iter()
            .map(|t| t.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end with a null pointer and point to strings that outlive the call.
    unsafe { execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Error::last_os_error()
}

/// Makes the process the leader of a new session and process group.
pub(crate) fn set_session() -> io::Result<()> {
    // SAFETY: takes no argument.
    check(unsafe { c_setsid() }).map(drop)
}

/// Orphans among the descendants become children of this process.
pub(crate) fn become_subreaper() -> io::Result<()> {
    // SAFETY: the option takes one number.
    check(unsafe { prctl(PR_SET_CHILD_SUBREAPER, 1) }).map(drop)
}

/// The process is killed when its parent ends.
pub(crate) fn die_with_parent() -> io::Result<()> {
    // SAFETY: the option takes one number.
    check(unsafe { prctl(PR_SET_PDEATHSIG, SIGKILL as c_ulong) }).map(drop)
}

/// Gives the process namespaces of its own.
pub(crate) fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: takes a number.
    check(unsafe { c_unshare(flags) }).map(drop)
}

/// Takes the process into the namespace that a file of `/proc` stands for.
pub(crate) fn enter_namespace(file: &File, kind: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    check(unsafe { setns(file.as_raw_fd(), kind) }).map(drop)
}

/// Makes the terminal on standard input the one of this session.
pub(crate) fn take_terminal() -> io::Result<()> {
    // SAFETY: the request takes one number.
    check(unsafe { ioctl(0, TIOCSCTTY, 0) }).map(drop)
}

/// No program that this process starts gets more rights than it has.
pub(crate) fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: the option takes four numbers.
    check(unsafe { prctl(PR_SET_NO_NEW_PRIVS, 1, 0_u64, 0_u64, 0_u64) }).map(drop)
}

/// The programs that this process executes have at most these capabilities.
pub(crate) fn limit_capabilities(kept: u64) {
    for number in 0..=LAST_CAPABILITY {
        if kept & (1 << number) == 0 {
            // A number that the kernel does not know is refused, which is as good.
            // SAFETY: the option takes one number.
            unsafe { prctl(PR_CAPBSET_DROP, c_ulong::from(number)) };
        }
    }
}

/// Mounts `source` at `target`; without a source only the flags of `target` change.
pub(crate) fn mount(
    source: Option<&Path>,
    target: &Path,
    kind: Option<&CStr>,
    flags: c_ulong,
    data: Option<&CStr>,
) -> io::Result<()> {
    let source = source.map(c_path).transpose()?;
    let target = c_path(target)?;
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a string that outlives the call.
    check(unsafe {
        c_mount(
            pointer(source.as_deref()),
            target.as_ptr(),
            pointer(kind),
            flags,
            pointer(data).cast(),
        )
    })
    .map(drop)
}

/// Copies the mount at `path` with all below it; the copy is attached nowhere.
pub(crate) fn clone_tree(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC as c_uint;
    // SAFETY: the path outlives the call; the result is a new descriptor that nobody else owns.
    unsafe {
        let fd = check_long(syscall(SYS_OPEN_TREE, AT_FDCWD, path.as_ptr(), flags))?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Makes a detached copy of mounts read-only.
pub(crate) fn make_read_only(tree: &OwnedFd) -> io::Result<()> {
    let attributes = MountAttributes {
        set: MOUNT_ATTR_RDONLY,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the structure has the kernel's layout and its size is passed.
    check_long(unsafe {
        syscall(
            SYS_MOUNT_SETATTR,
            tree.as_raw_fd(),
            c"".as_ptr(),
            AT_EMPTY_PATH | AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
}

/// Makes the mount at a path read-only: with all below it, or alone.
pub(crate) fn make_path_read_only(path: &Path, below: bool) -> io::Result<()> {
    let path = c_path(path)?;
    let attributes = MountAttributes {
        set: MOUNT_ATTR_RDONLY,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the path outlives the call; the structure has the kernel's layout and its size is
    // passed.
    check_long(unsafe {
        syscall(
            SYS_MOUNT_SETATTR,
            AT_FDCWD,
            path.as_ptr(),
            if below { AT_RECURSIVE } else { 0 },
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
}

/// Attaches a detached copy of mounts at `target`.
pub(crate) fn attach_tree(tree: &OwnedFd, target: &Path) -> io::Result<()> {
    let target = c_path(target)?;
    // SAFETY: both paths outlive the call.
    check_long(unsafe {
        syscall(
            SYS_MOVE_MOUNT,
            tree.as_raw_fd(),
            c"".as_ptr(),
            AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Makes the mount at the working directory the root and detaches the old one.
pub(crate) fn pivot_to_working_directory() -> io::Result<()> {
    // SAFETY: both strings are constants. With "." twice the old root comes to lie on the new one.
    unsafe {
        check_long(syscall(SYS_PIVOT_ROOT, c".".as_ptr(), c".".as_ptr()))?;
        check(umount2(c".".as_ptr(), MNT_DETACH)).map(drop)
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The child's id.
    pub(crate) pid: c_int,
    /// The exit code; 128 + signal for a killed child.
    pub(crate) code: c_int,
    /// The signal that killed it, or 0.
    pub(crate) signal: c_int,
}

/// Reaps one ended child. `Ok(None)`: children exist and none has ended.
///
/// # Errors
/// No child exists (`ECHILD`).
pub(crate) fn reap() -> io::Result<Option<Ended>> {
    let mut status = 0;
    // SAFETY: the status is written to a local variable.
    let pid = check(unsafe { waitpid(-1, &raw mut status, WNOHANG) })?;
    if pid == 0 {
        return Ok(None);
    }
    let signal = status & 0x7f;
    let code = if signal == 0 {
        (status >> 8) & 0xff
    } else {
        128 + signal
    };
    Ok(Some(Ended { pid, code, signal }))
}

/// Sends a signal; a negative id means a process group. A process that is gone is no error.
pub(crate) fn kill(pid: c_int, number: c_int) {
    // SAFETY: takes two numbers.
    unsafe { c_kill(pid, number) };
}

/// Takes the lock of an open file, if nobody has it.
pub(crate) fn try_lock(file: &File) -> bool {
    // SAFETY: the descriptor is open.
    unsafe { flock(file.as_raw_fd(), LOCK_EX | LOCK_NB) == 0 }
}

/// Writing to a pipe that nobody reads is an error instead of the end.
pub(crate) fn ignore_broken_pipes() {
    // SAFETY: 1 is the C library's "ignore".
    unsafe { signal(SIGPIPE, 1) };
}

/// Ends the process as the signal would have ended it, if it can.
pub(crate) fn die_of(number: c_int) {
    // The program has left its core already.
    // SAFETY: the option takes one number.
    unsafe { prctl(PR_SET_DUMPABLE, 0) };
    reset_signals();
    kill(process_id(), number);
}

/// A file from which the signals of the set are read; it closes when a program is executed.
pub(crate) fn signal_file(set: &SignalSet) -> io::Result<File> {
    // SAFETY: the set outlives the call; the result is a new descriptor that nobody else owns.
    unsafe {
        let fd = check(signalfd(-1, set, O_CLOEXEC | O_NONBLOCK))?;
        Ok(File::from_raw_fd(fd))
    }
}

/// The next signal of a file, and whether the terminal sent it.
pub(crate) fn next_signal(mut file: &File) -> Option<(c_int, bool)> {
    let mut info = [0; SIGNAL_INFO];
    let count = file.read(&mut info).ok()?;
    let word = |at: usize| Some(i32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?));
    // The layout of `signalfd_siginfo`: number, errno, code.
    (count == SIGNAL_INFO).then_some((word(0)?, word(8)? == SI_KERNEL))
}

/// A file that can be read when new files come into a folder.
pub(crate) fn watch_new_files(folder: &Path) -> io::Result<File> {
    let folder = c_path(folder)?;
    // SAFETY: the path outlives the call; the result is a new descriptor that nobody else owns.
    unsafe {
        let fd = check(inotify_init1(O_CLOEXEC | O_NONBLOCK))?;
        let file = File::from_raw_fd(fd);
        check(inotify_add_watch(
            fd,
            folder.as_ptr(),
            IN_CREATE | IN_MOVED_TO,
        ))?;
        Ok(file)
    }
}

/// Reads a file that does not wait, to its end, for nothing.
pub(crate) fn discard(mut file: &File) {
    let mut bytes = [0; 4096];
    while file.read(&mut bytes).is_ok_and(|count| count > 0) {}
}

/// How many bytes can be read of a pipe without waiting.
pub(crate) fn waiting_bytes(pipe: Option<&File>) -> usize {
    let Some(pipe) = pipe else { return 0 };
    let mut count: c_int = 0;
    // SAFETY: the descriptor is open; the number is written to a local variable.
    let done = unsafe { ioctl(pipe.as_raw_fd(), FIONREAD, &raw mut count) };
    if done < 0 { 0 } else { count as usize }
}

/// Waits until one of the files can be read, or for so long; says which can.
pub(crate) fn wait_readable(files: &[&File], limit: Option<Duration>) -> Vec<bool> {
    let limit = limit.map_or(FOR_EVER, |limit| limit.as_millis() as c_int);
    let entry = |file: &&File| PollEntry {
        fd: file.as_raw_fd(),
        events: POLLIN,
        found: 0,
    };
    let mut entries: Vec<PollEntry> = files.iter().map(entry).collect();
    // SAFETY: the array has the layout of the C library and its length is passed.
    unsafe { poll(entries.as_mut_ptr(), entries.len() as c_ulong, limit) };
    entries.iter().map(|entry| entry.found != 0).collect()
}

/// A pipe whose ends close when a program is executed: (read, write).
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let mut fds = [0; 2];
    // SAFETY: two descriptors are written to the array; nobody else owns them.
    unsafe {
        check(pipe2(fds.as_mut_ptr(), O_CLOEXEC))?;
        Ok((File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1])))
    }
}

/// Makes `file` the standard stream `number` of this process.
pub(crate) fn become_stream(file: &File, number: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open; the old stream is closed by the kernel.
    check(unsafe { dup2(file.as_raw_fd(), number) }).map(drop)
}

/// Blocks the signals; they are then taken by [`wait_signal`].
pub(crate) fn block_signals(set: &SignalSet) {
    // SAFETY: the set has the layout of the C library; the old set is not asked for.
    unsafe { sigprocmask(SIG_BLOCK, set, std::ptr::null_mut()) };
}

/// Gives the signals back their defaults, for the program that is about to start.
pub(crate) fn reset_signals() {
    let none = SignalSet::of(&[]);
    // SAFETY: as above; 0 is the default action.
    unsafe {
        sigprocmask(SIG_SETMASK, &raw const none, std::ptr::null_mut());
        // Whoever started the node may ignore some (nohup does). Two can't be changed, and are
        // never ignored.
        for number in 1..=LAST_SIGNAL {
            signal(number, 0);
        }
    }
}

/// Waits for one of the blocked signals; `None` after the timeout or an interruption.
pub(crate) fn wait_signal(set: &SignalSet, timeout: Option<Duration>) -> Option<c_int> {
    let time = timeout.map(|t| TimeSpec {
        seconds: t.as_secs() as i64,
        nanoseconds: i64::from(t.subsec_nanos()),
    });
    let pointer = time.as_ref().map_or(std::ptr::null(), |t| &raw const *t);
    // SAFETY: the set and the time outlive the call; details of the signal are not asked for.
    let number = unsafe { sigtimedwait(set, std::ptr::null_mut(), pointer) };
    (number > 0).then_some(number)
}

/// Makes the terminal of standard input pass everything on as it is.
pub(crate) fn make_terminal_raw() -> io::Result<()> {
    let mut modes = TerminalModes::default();
    // SAFETY: both calls get a structure with the layout of the kernel.
    unsafe {
        check(ioctl(0, TCGETS, &raw mut modes))?;
        modes.input = 0;
        modes.output &= !OPOST;
        modes.local = 0;
        modes.control |= CS8;
        // Reading returns with the first character.
        (modes.characters[6], modes.characters[5]) = (1, 0);
        check(ioctl(0, TCSETS, &raw const modes)).map(drop)
    }
}

/// The rows and columns of the terminal of standard input, if it is one.
pub(crate) fn terminal_size() -> Option<(u16, u16)> {
    let mut size = [0_u16; 4];
    // SAFETY: four numbers are written to the array.
    check(unsafe { ioctl(0, TIOCGWINSZ, size.as_mut_ptr()) }).ok()?;
    (size[0] > 0 && size[1] > 0).then_some((size[0], size[1]))
}

/// Gives up root for a user and group with these supplementary groups.
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    join_groups(groups)?;
    // SAFETY: take numbers.
    unsafe {
        check(setgid(gid))?;
        check(setuid(uid)).map(drop)
    }
}

/// Sets the supplementary groups.
pub(crate) fn join_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the list and its length belong together.
    check(unsafe { setgroups(groups.len(), groups.as_ptr()) }).map(drop)
}

/// The user that runs this process.
pub(crate) fn user() -> u32 {
    // SAFETY: takes no argument and cannot fail.
    unsafe { c_getuid() }
}

/// The group that runs this process.
pub(crate) fn group() -> u32 {
    // SAFETY: takes no argument and cannot fail.
    unsafe { c_getgid() }
}

/// The id of this process.
pub(crate) fn process_id() -> c_int {
    // SAFETY: takes no argument and cannot fail.
    unsafe { c_getpid() }
}

/// The id of the parent.
pub(crate) fn parent_id() -> c_int {
    // SAFETY: takes no argument and cannot fail.
    unsafe { c_getppid() }
}
