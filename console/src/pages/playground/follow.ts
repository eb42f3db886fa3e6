import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { running } from "./store.ts";

/** Within this distance of the end of the page, the person is still looking at the end. */
const NEAR_PX = 120;
/** What an answer ends with is laid out a moment later. */
const AFTER_MS = 400;

/** Keeps the end of the page in sight while answers come in, unless the person has scrolled away from it. */
export function useFollow(): RefObject<HTMLDivElement | null> {
  const element = useRef<HTMLDivElement>(null);
  const isBusy = useRef(false);
  const isNear = useRef(true);
  const count = running.value;
  useEffect(() => {
    if (count > 0) {
      // After a question, the person wants to see the answer.
      if (!isBusy.current) {
        isNear.current = true;
        window.scrollTo(0, document.documentElement.scrollHeight);
      }
      isBusy.current = true;
      return;
    }
    const timer = setTimeout(() => {
      isBusy.current = false;
    }, AFTER_MS);
    return () => clearTimeout(timer);
  }, [count]);
  useEffect(() => {
    if (element.current === null) return;
    const page = document.documentElement;
    const look = (): void => {
      isNear.current = window.scrollY + window.innerHeight >= page.scrollHeight - NEAR_PX;
    };
    const observer = new ResizeObserver(() => {
      if (isNear.current && isBusy.current) window.scrollTo(0, page.scrollHeight);
      else look();
    });
    observer.observe(element.current);
    window.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      window.removeEventListener("scroll", look);
    };
  }, []);
  return element;
}
