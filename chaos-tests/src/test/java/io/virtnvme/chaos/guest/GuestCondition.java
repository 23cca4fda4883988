package io.virtnvme.chaos.guest;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Decides about {@link RequiresGuest}. The answer is found once per JVM. */
final class GuestCondition implements ExecutionCondition {
  private static final String REQUIRED_PROPERTY = "virtnvme.guest.required";
  private static final String WANTED_PROPERTY = "virtnvme.guest";

  private static ConditionEvaluationResult answer;

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(final ExtensionContext context) {
    return answer();
  }

  private static synchronized ConditionEvaluationResult answer() {
    if (answer == null) {
      answer = decide();
    }
    return answer;
  }

  private static ConditionEvaluationResult decide() {
    final boolean required = Boolean.getBoolean(REQUIRED_PROPERTY);
    final Path directory = GuestImages.defaultDirectory();
    final String wanted =
        System.getProperty(
            WANTED_PROPERTY, Boolean.toString(Files.exists(directory.resolve("stamp"))));
    if (!required && !Boolean.parseBoolean(wanted)) {
      return ConditionEvaluationResult.disabled(
          "no guest images in " + directory + "; give -D" + WANTED_PROPERTY + "=true to make them");
    }
    try {
      GuestImages.prepare(directory);
      return ConditionEvaluationResult.enabled("guest images in " + directory);
    } catch (final IllegalStateException e) {
      if (required) {
        throw e;
      }
      return ConditionEvaluationResult.disabled(String.valueOf(e.getMessage()));
    }
  }
}
