//! What the kernel still holds of what was written to a connection.
#![expect(unsafe_code, reason = "neither the standard library nor a crate that is used here asks the kernel this")]

use std::os::fd::AsFd;

use rustix::ioctl::{Getter, ioctl};

/// Bytes that were written and that the other end has not acknowledged.
pub(super) fn length(stream: impl AsFd) -> u64 {
    // SAFETY: for a TCP socket `TIOCOUTQ` (`SIOCOUTQ`, tcp(7)) writes one int to the address that it is given and reads
    // nothing there, which is what a getter of `c_int` stands for.
    let asked = unsafe { Getter::<{ libc::TIOCOUTQ as _ }, libc::c_int>::new() };
    // SAFETY: as above, and the handle is borrowed for the call.
    let held = unsafe { ioctl(stream, asked) };
    held.ok().and_then(|held| u64::try_from(held).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_was_not_taken_is_held() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut writer, _) = listener.accept().unwrap();
        assert_eq!(length(&writer), 0);
        writer.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(more) = writer.write(&[7; 1 << 16]) {
            written += more as u64;
        }
        let held = length(&writer);
        assert!(held > 0 && held < written, "{held} of {written}: the reader's kernel has the rest");
        reader.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        std::io::copy(&mut (&reader).take(written), &mut std::io::sink()).unwrap();
        let begun = Instant::now();
        while length(&writer) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
    }
}
