package io.virtnvme.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CoreListTest {
  @Test
  void shouldReadNumbersAndRanges() {
    assertEquals(List.of(1, 3, 4, 5), CoreList.parse("1,3-5"));
    assertEquals(List.of(0), CoreList.parse("0"));
    assertEquals(List.of(2, 1), CoreList.parse(" 2 , 1 "));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a", "1-", "-1", "5-3", "1,,2", "1,1", "0-2,2", "1024", "99999"})
  void shouldRefuseAnythingElse(final String text) {
    assertThrows(IllegalArgumentException.class, () -> CoreList.parse(text));
  }
}
