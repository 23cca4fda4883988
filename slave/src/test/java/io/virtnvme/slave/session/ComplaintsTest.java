package io.virtnvme.slave.session;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ComplaintsTest {
  private final List<String> lines = new ArrayList<>();
  private final Complaints complaints = new Complaints("session 7", lines::add);

  @Test
  void shouldLogTheFirstOfEachCauseAndOneForTwiceAsMany() {
    for (int i = 1; i <= 1000; i++) {
      complaints.add("refused", "value=" + i);
      complaints.add("cut short", "value=" + -i);
    }
    assertEquals(20, lines.size());
    assertEquals("session 7: refused: value=1 (count=1)", lines.get(0));
    assertEquals("session 7: cut short: value=-1 (count=1)", lines.get(1));
    assertEquals("session 7: cut short: value=-512 (count=512)", lines.get(19));
  }

  @Test
  void shouldStayQuietHoweverManyCausesThereAre() {
    for (int i = 0; i < 1 << 16; i++) {
      complaints.add("cause " + i, "");
    }
    assertEquals(Complaints.CAUSES_MAX + 16, lines.size());
  }
}
