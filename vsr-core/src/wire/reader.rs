//! Fields out of bytes, each refused where the bytes do not hold it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::DecodeError;
use crate::checksum::Checksum;
use crate::header::{Entry, HEADER_SIZE, Header, Operation};
use crate::message::{Reply, Request};
use crate::number::{
    ClientId, ClusterId, Nonce, OpNumber, ReplicaIndex, RequestNumber, Session, ViewNumber,
};

/// What is left to read.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Refuses what is left over.
    pub(super) const fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Length) }
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(size).ok_or(DecodeError::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    pub(super) fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], DecodeError> {
        let mut array = [0; SIZE];
        array.copy_from_slice(self.take(SIZE)?);
        Ok(array)
    }

    pub(super) fn word(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Eight bytes that hold no more than four could.
    pub(super) fn narrow(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.long()?).map_err(|_| DecodeError::Padding)
    }

    pub(super) fn wide(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_le_bytes)
    }

    pub(super) fn op(&mut self) -> Result<OpNumber, DecodeError> {
        self.long().map(OpNumber::new)
    }

    pub(super) fn view(&mut self) -> Result<ViewNumber, DecodeError> {
        self.long().map(ViewNumber::new)
    }

    pub(super) fn checksum(&mut self) -> Result<Checksum, DecodeError> {
        self.wide().map(Checksum::new)
    }

    pub(super) fn header(&mut self) -> Result<Header, DecodeError> {
        Header::decode(self.take(HEADER_SIZE)?).ok_or(DecodeError::Header)
    }

    /// All that is left, which must be headers.
    pub(super) fn headers(&mut self) -> Result<Vec<Header>, DecodeError> {
        let mut headers = Vec::with_capacity(self.0.len() / HEADER_SIZE);
        while !self.0.is_empty() {
            headers.push(self.header()?);
        }
        Ok(headers)
    }

    pub(super) fn entry(&mut self) -> Result<Arc<Entry>, DecodeError> {
        let header = self.header()?;
        let size = usize::try_from(header.size).map_err(|_| DecodeError::Length)?;
        Entry::new(header, self.take(size)?).map(Arc::new).ok_or(DecodeError::Body)
    }

    /// All that is left, which must be entries.
    pub(super) fn entries(&mut self) -> Result<Arc<[Arc<Entry>]>, DecodeError> {
        let mut entries = Vec::with_capacity(self.0.len() / HEADER_SIZE);
        while !self.0.is_empty() {
            entries.push(self.entry()?);
        }
        Ok(entries.into())
    }

    pub(super) fn nonce(&mut self) -> Result<Option<Nonce>, DecodeError> {
        let flag = self.long()?;
        let nonce = Nonce::new(self.long()?);
        match (flag, nonce) {
            (1, nonce) => Ok(Some(nonce)),
            (0, Nonce::ZERO) => Ok(None),
            _ => Err(DecodeError::Padding),
        }
    }

    pub(super) fn request(
        &mut self,
        cluster: ClusterId,
        view: ViewNumber,
    ) -> Result<Arc<Request>, DecodeError> {
        let checksum = self.checksum()?;
        let parent = self.checksum()?;
        let client = ClientId::new(self.wide()?);
        let session = Session::new(self.long()?);
        let request = RequestNumber::new(self.long()?);
        let [code] = self.array()?;
        let operation = match Operation::from_code(code) {
            Some(operation @ (Operation::Register | Operation::Apply)) => operation,
            Some(Operation::Root) | None => return Err(DecodeError::Operation(code)),
        };
        let body = self.rest();
        if checksum != Request::checksum_of(client, session, request, parent, operation, body) {
            return Err(DecodeError::Request);
        }
        let body = body.into();
        Ok(Arc::new(Request {
            cluster,
            client,
            session,
            request,
            parent,
            view,
            checksum,
            operation,
            body,
        }))
    }

    pub(super) fn reply(
        &mut self,
        cluster: ClusterId,
        from: ReplicaIndex,
        view: ViewNumber,
    ) -> Result<Reply, DecodeError> {
        let reply = Reply {
            checksum: self.checksum()?,
            request_checksum: self.checksum()?,
            client: ClientId::new(self.wide()?),
            session: Session::new(self.long()?),
            request: RequestNumber::new(self.long()?),
            op: self.op()?,
            result: self.rest().into(),
            cluster,
            from,
            view,
        };
        let Reply { client, session, request, op, .. } = reply;
        if reply.checksum != Reply::checksum_of(client, session, request, op, &reply.result) {
            return Err(DecodeError::Reply);
        }
        Ok(reply)
    }
}
