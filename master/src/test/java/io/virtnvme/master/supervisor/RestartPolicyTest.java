package io.virtnvme.master.supervisor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class RestartPolicyTest {
  @Test
  void shouldRestartAtOnceThenSlowerUpToTheLimit() {
    final RestartPolicy policy = new RestartPolicy(9, 100, 1000);
    final long[] expected = {0, 100, 200, 400, 800, 1000, 1000, 1000, RestartPolicy.GIVE_UP};
    for (final long delay : expected) {
      assertEquals(delay, policy.onFailure());
    }
    assertEquals(RestartPolicy.GIVE_UP, policy.onFailure());
  }

  @Test
  void shouldStartOverAfterASuccess() {
    final RestartPolicy policy = new RestartPolicy(3, 100, 1000);
    policy.onFailure();
    policy.onFailure();
    policy.onSuccess();
    assertEquals(0, policy.failures());
    assertEquals(0, policy.onFailure());
    assertEquals(100, policy.onFailure());
    assertEquals(RestartPolicy.GIVE_UP, policy.onFailure());
  }
}
