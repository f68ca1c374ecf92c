//! System calls without the checks of a library, which would keep some of them from reaching the kernel.

use std::{ffi::CString, io};

/// An argument of a system call.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    /// A number, a flag or a descriptor.
    Number(i64),
    /// The address of a text that ends in a zero byte.
    Text(CString),
    /// The address of zeroed memory of [`BUFFER_BYTES`] bytes, which the kernel may read or write.
    Buffer,
}

/// The bytes behind [`Argument::Buffer`]: more than any structure that the kernel reads or writes in these calls.
const BUFFER_BYTES: usize = 4096;

impl From<i32> for Argument {
    fn from(number: i32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Argument {
    fn from(number: u32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Text(CString::new(text).unwrap_or_default())
    }
}

/// Makes the system call `number` and returns what the kernel returned.
///
/// # Errors
/// The error that the kernel answered with. A filter may end the process instead.
pub(super) fn call(number: i64, arguments: &[Argument]) -> io::Result<i64> {
    let mut buffers: Vec<[u8; BUFFER_BYTES]> = vec![[0; BUFFER_BYTES]; arguments.len()];
    let mut values = [0_i64; 6];
    for ((value, argument), buffer) in values.iter_mut().zip(arguments).zip(&mut buffers) {
        *value = match argument {
            Argument::Number(number) => *number,
            Argument::Text(text) => text.as_ptr() as i64,
            Argument::Buffer => buffer.as_mut_ptr() as i64,
        };
    }
    let [a, b, c, d, e, f] = values;
    #[expect(
        unsafe_code,
        reason = "the calls must reach the kernel without a library's checks"
    )]
    // SAFETY: addresses are those of `arguments` and `buffers`, which live until the call has returned, and no call of
    // `attempts` makes the kernel write more than a buffer holds, or unmaps or changes memory that Rust owns. A process
    // that is forked or replaced in spite of the filter ends at once: its parent reports an escape.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_reach_the_kernel_and_errors_come_back() {
        assert_eq!(
            call(libc::SYS_getpid, &[]).unwrap(),
            i64::from(std::process::id())
        );
        let missing = call(
            libc::SYS_openat,
            &[libc::AT_FDCWD.into(), "/no/such/file".into(), 0.into()],
        );
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(call(libc::SYS_uname, &[Argument::Buffer]).is_ok());
    }
}
