//! The HTTP library's own refusals, said in the service's words.
//!
//! A head that is too large or no HTTP at all never reaches the gateway: the library answers it with a 4xx and
//! no body, which clients take for a broken network. This stream sits below the library and replaces such an
//! answer before it is sent. Every other answer has status 200, so a 4xx is always one of those.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How every answer begins that the library gives on its own account.
const REFUSAL_START: &[u8] = b"HTTP/1.1 4";

/// Why the library refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadError {
    /// The target or the headers are longer than a head may be.
    TooLarge,
    /// It is no HTTP.
    Malformed,
}

/// A stream that replaces refusals by what `refuse` gives, a whole HTTP answer.
pub(super) struct RefusalStream<S, F> {
    stream: S,
    refuse: F,
    /// The replacement, from the first byte that is still to be sent.
    unsent: Vec<u8>,
}

impl<S, F> RefusalStream<S, F> {
    pub(super) const fn new(stream: S, refuse: F) -> Self {
        Self { stream, refuse, unsent: Vec::new() }
    }
}

impl<S: AsyncWrite + Unpin, F: Fn(HeadError) -> Vec<u8> + Unpin> RefusalStream<S, F> {
    /// Keeps the replacement for later, where `data` begins a refusal.
    fn replaces(&mut self, data: &[u8]) -> bool {
        if !data.starts_with(REFUSAL_START) {
            return false;
        }
        // 414 and 431; the rest is 400.
        let is_too_large = matches!(data.get(9..12), Some(b"414" | b"431"));
        self.unsent = (self.refuse)(if is_too_large { HeadError::TooLarge } else { HeadError::Malformed });
        true
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.unsent.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin, F: Unpin> AsyncRead for RefusalStream<S, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, F: Fn(HeadError) -> Vec<u8> + Unpin> AsyncWrite for RefusalStream<S, F> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>> {
        if self.replaces(data) {
            return Poll::Ready(Ok(data.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if data.first().is_some_and(|first| self.replaces(first)) {
            return Poll::Ready(Ok(data.iter().map(|part| part.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    async fn sent(written: &[&[u8]]) -> String {
        // A pipe of three bytes: every write is cut short.
        let (near, mut far) = duplex(3);
        let refuse = |error| format!("<{error:?}>").into_bytes();
        let mut stream = RefusalStream::new(near, refuse);
        let write = async {
            for data in written {
                stream.write_all(data).await.unwrap();
            }
            stream.shutdown().await.unwrap();
        };
        let mut received = String::new();
        let (_, read) = tokio::join!(write, far.read_to_string(&mut received));
        read.unwrap();
        received
    }

    #[tokio::test]
    async fn refusals_are_replaced_and_nothing_else() {
        for (written, expected) in [
            (&[&b"HTTP/1.1 200 OK\r\n\r\n{}"[..]][..], "HTTP/1.1 200 OK\r\n\r\n{}"),
            (&[b"HTTP/1.1 400 Bad Request\r\n\r\n"], "<Malformed>"),
            (&[b"HTTP/1.1 414 URI Too Long\r\n\r\n"], "<TooLarge>"),
            (&[b"HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n"], "<TooLarge>"),
            (&[b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 4"], "HTTP/1.1 200 OK\r\n\r\n<Malformed>"),
        ] {
            assert_eq!(sent(written).await, expected);
        }
    }
}
