//! A wrong clock for one running process, on a machine whose own clock stays right.
//!
//! Our programs are static, so nothing can be loaded into them, and the kernel has no namespace for
//! the time of day. But the code that tells a process the time (the vDSO) lies in the process's own
//! memory, where a debugger may change it. This does: the process then asks the kernel, and adds.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::FileExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Which clocks of a process are shifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// The time of day: the clock of the machine is wrong.
    TimeOfDay,
    /// The steady clock too: time has passed.
    All,
}

/// The function that programs ask for the time.
const FUNCTION: &[u8] = b"__vdso_clock_gettime";

/// Shifts the clocks of a process by whole seconds; negative is back.
///
/// # Panics
/// Where [`require`](crate::require)`("vdso")` says that it cannot be done.
pub fn shift(pid: u32, clocks: Clocks, seconds: i32) {
    try_shift(pid, clocks, seconds).unwrap_or_else(|error| panic!("the clock of {pid}: {error}"));
}

/// Moves the clocks of a process on: for it, so much time has passed at once.
///
/// # Panics
/// As [`shift`].
pub fn pass(pid: u32, time: Duration) {
    shift(pid, Clocks::All, i32::try_from(time.as_secs()).unwrap());
}

/// Whether this machine lets it be done, tried on a process of no importance. If not, says why.
pub(crate) fn can_be_shifted() -> bool {
    let tried = Echo::start().and_then(|echo| try_shift(echo.0.id(), Clocks::TimeOfDay, 0));
    if let Err(error) = &tried {
        println!("the clock of a process cannot be shifted here: {error}");
    }
    tried.is_ok()
}

/// A program that waits for more to copy, ended when dropped.
struct Echo(Child);

impl Echo {
    fn start() -> io::Result<Self> {
        let child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut echo = Self(child);
        let (Some(stdin), Some(stdout)) = (&mut echo.0.stdin, &mut echo.0.stdout) else {
            return Err(io::Error::other("cat has no pipes"));
        };
        // Until it answers its memory may not be all there.
        stdin.write_all(b"?")?;
        stdout.read_exact(&mut [0])?;
        Ok(echo)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn try_shift(pid: u32, clocks: Clocks, seconds: i32) -> io::Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Err(io::Error::other("the code is that of x86_64"));
    }
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let (begin, end) = mapping(&maps).ok_or_else(|| io::Error::other("no vDSO is mapped"))?;
    let path = format!("/proc/{pid}/mem");
    let memory = OpenOptions::new().read(true).write(true).open(path)?;
    let mut image = vec![0; usize::try_from(end - begin).map_err(io::Error::other)?];
    read(&memory, begin, &mut image)?;
    let code = code(clocks, seconds);
    let (offset, size) = function(&image).ok_or_else(|| io::Error::other("no such function"))?;
    if size < code.len() as u64 {
        return Err(io::Error::other("the function is too short"));
    }
    memory.write_all_at(&code, begin + offset)
}

/// Pages that the kernel does not hand out read as nothing.
fn read(memory: &File, begin: u64, image: &mut [u8]) -> io::Result<()> {
    for (page, at) in image.chunks_mut(4096).zip((begin..).step_by(4096)) {
        if memory.read_exact_at(page, at).is_err() && at == begin {
            return Err(io::Error::other("the vDSO cannot be read"));
        }
    }
    Ok(())
}

/// From where to where the vDSO lies.
fn mapping(maps: &str) -> Option<(u64, u64)> {
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (begin, end) = line.split(' ').next()?.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some((hex(begin)?, hex(end)?))
}

/// `clock_gettime(edi, rsi)` by the system call, and a sum.
fn code(clocks: Clocks, seconds: i32) -> Vec<u8> {
    // CLOCK_REALTIME is 0, CLOCK_MONOTONIC is 1.
    let last = match clocks {
        Clocks::TimeOfDay => 0,
        Clocks::All => 1,
    };
    let mut code = vec![0xb8, 228, 0, 0, 0]; // mov eax, SYS_clock_gettime
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0x85, 0xc0]); // test eax, eax
    code.extend([0x75, 12]); // jnz end
    code.extend([0x83, 0xff, last]); // cmp edi, last
    code.extend([0x77, 7]); // ja end
    code.extend([0x48, 0x81, 0x06]); // add qword [rsi], seconds
    code.extend(seconds.to_le_bytes());
    code.push(0xc3); // end: ret
    code
}

/// Offset and size of the function in an ELF image.
fn function(elf: &[u8]) -> Option<(u64, u64)> {
    const DYNSYM: u64 = 11;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = elf.get(at..at + bytes)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let at = |at: usize, bytes: usize| number(at, bytes).and_then(|it| usize::try_from(it).ok());
    let (sections, each, count) = (at(0x28, 8)?, at(0x3a, 2)?, at(0x3c, 2)?);
    let symbols = (0..count)
        .map(|section| sections + section * each)
        .find(|section| number(section + 4, 4) == Some(DYNSYM))?;
    let names = sections + at(symbols + 0x28, 4)? * each;
    let (names, begin, length) = (
        at(names + 0x18, 8)?,
        at(symbols + 0x18, 8)?,
        at(symbols + 0x20, 8)?,
    );
    (begin..begin + length).step_by(24).find_map(|symbol| {
        let name = elf.get(names + at(symbol, 4)?..)?;
        let named = name.starts_with(FUNCTION) && name.get(FUNCTION.len()) == Some(&0);
        Some((number(symbol + 8, 8)?, number(symbol + 16, 8)?)).filter(|_| named)
    })
}
