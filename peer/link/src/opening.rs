//! The first step of a session: this side's signed description.

use tincan_protocol::LinkSessionId;
use tincan_protocol::link::{LinkSignal, Statement, VerifiedDescription};

use crate::config::Parties;
use crate::descriptions::{Agreed, sign_answer, sign_offer};
use crate::error::LinkStartError;
use crate::transport::{Channel, Connection};

/// This side's description, and what comes with it.
pub(crate) struct Described {
    pub(crate) offer: Statement,
    pub(crate) signal: LinkSignal,
    /// On the offering side.
    pub(crate) channel: Option<Channel>,
    /// On the answering side.
    pub(crate) agreed: Option<Agreed>,
}

/// Makes the offer of a new session, or the answer to `offer`; gathering begins.
pub(crate) async fn describe(
    connection: &Connection,
    parties: &Parties,
    session: LinkSessionId,
    offer: Option<VerifiedDescription>,
    now_ms: u64,
) -> Result<Described, LinkStartError> {
    let Some(VerifiedDescription {
        statement: offer,
        sdp,
    }) = offer
    else {
        let channel = connection.create_channel().await?;
        let sdp = connection.create_offer().await?;
        let (offer, signed) =
            sign_offer(parties, session, sdp, now_ms).map_err(LinkStartError::Offer)?;
        let signal = LinkSignal::Offer(signed);
        return Ok(Described {
            offer,
            signal,
            channel: Some(channel),
            agreed: None,
        });
    };
    let sdp = connection.answer(sdp).await?;
    let (answer, signed) =
        sign_answer(parties, &offer, sdp, now_ms).map_err(LinkStartError::Offer)?;
    let agreed = Some(Agreed::as_answerer(&offer, &answer));
    Ok(Described {
        offer,
        signal: LinkSignal::Answer(signed),
        channel: None,
        agreed,
    })
}
