//! `redirect`: go on with another page.

use super::play::WebPage;
use super::reader::Members;

pub(super) fn read(members: &mut Members<'_>) -> Option<WebPage> {
    members.needed_page("next_page")
}
