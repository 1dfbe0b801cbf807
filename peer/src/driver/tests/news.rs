use super::bench::ann_and_bob;
use crate::driver::news::PER_MINUTE;
use crate::driver::pace::Pace;
use crate::store::JournalEvent;

#[tokio::test]
async fn regression_a_contact_that_comes_and_goes_all_the_time_does_not_fill_the_journal() {
    let (mut ann, _bob) = ann_and_bob();
    let (no, address) = (ann.no(), ann.row().their_address().unwrap());
    let before = ann.journal().len();
    for turn in 0..1_001 {
        ann.driver.handle_presence(&address, turn % 2 == 0);
    }
    ann.commit();
    let told = ann.journal().split_off(before);
    assert_eq!(told.len(), PER_MINUTE as usize);
    let online =
        |event: &JournalEvent| matches!(event, JournalEvent::Presence { online: true, .. });
    assert!(!told.last().is_some_and(online));
    assert!(ann.contact().news_due().is_some());
    // The minute is over: the last state is told.
    let conversation = ann.driver.conversations.get_mut(&no).unwrap();
    conversation.news.pace = Pace::default();
    ann.driver.tell_news(no);
    ann.commit();
    assert!(ann.journal().last().is_some_and(online));
    assert!(ann.contact().news_due().is_none());
}
