package io.virtnvme.chaos.guest;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Marks tests that boot guests. They run when {@code -Dvirtnvme.guest=true} is given (missing
 * images are then made) or when the images are there already, and are skipped otherwise; with
 * {@code -Dvirtnvme.guest.required=true} they fail instead of being skipped.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Tag("guest")
@ExtendWith(GuestCondition.class)
public @interface RequiresGuest {}
