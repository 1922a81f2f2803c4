//! One typed id per thing, so that a contact is never looked up by an attempt's number.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// Who authenticates, owns and is limited.
    AccountId;
    /// What groups deployments in clients' addresses; not [`ApplicationId`], which is one script.
    AppId;
    /// What runs when somebody answers.
    ApplicationId;
    /// One try of a contact: one call.
    AttemptId;
    /// Contacts dialed under one rule.
    CampaignId;
    /// One destination with budget and parameters.
    ContactId;
    /// One try at delivering a webhook.
    DeliveryId;
    /// A script under a number of its own.
    DeploymentId;
    /// An address of a client that is told of what happens.
    EndpointId;
    /// A fact about a call.
    EventId;
    /// A route to the network. Trunks come from the configuration, in its order, from 1.
    TrunkId;
    /// Something owed to a client's URL.
    WebhookId;
}
