package io.virtnvme.slave.ring;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class PollBudgetTest {
  private static final int KIB = 1024;
  private final PollBudget budget = new PollBudget();

  private int kibUntilSpent() {
    budget.begin();
    int kib = 0;
    while (!budget.isSpent()) {
      budget.copied(KIB);
      kib++;
    }
    return kib;
  }

  @Test
  void shouldPauseSoonAtFirstAndLaterAfterMore() {
    for (final int expected : new int[] {16, 32, 64, 128, 256, 256}) {
      assertEquals(expected, kibUntilSpent());
    }
  }

  @Test
  void shouldNotGrowByPollsThatMoveNothing() {
    for (int i = 0; i < 10; i++) {
      budget.begin();
    }
    assertEquals(16, kibUntilSpent());
  }

  @Test
  void shouldCostLessToHandOnThanToCopy() {
    budget.handedOn(255 * KIB);
    assertFalse(budget.isSpent());
    budget.handedOn(KIB);
    assertTrue(budget.isSpent());
  }
}
